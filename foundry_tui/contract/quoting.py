"""How a prompt quotes what others wrote, so that it stays apart from what is asked. Markdown."""


def fenced(text: str) -> str:
    """The text as a block of code, which nothing in it can end."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"


def quoted(text: str) -> str:
    """The text as a quotation, each of its lines marked."""
    return "\n".join(f"> {line}".rstrip() for line in text.strip().split("\n"))
