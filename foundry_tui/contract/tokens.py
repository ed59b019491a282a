"""The token that a backend on TCP asks for: the same word for whoever asks for it and whoever sends it."""


def is_token(text: str) -> bool:
    """Whether the text can be sent as a token: one word of visible ASCII characters."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text
