"""The words in which the agent is told of the issue that a task starts from."""

from backend_stub.domain.start import Start

LONGEST_ISSUE = 60_000
"""Characters of an issue's text that are said; the rest is read where its address says."""


def issue_words(number: int, start: Start) -> str:
    """Title and text of the issue, as they go before the prompt."""
    text = start.text.strip()
    if len(text) > LONGEST_ISSUE:
        text = f"{text[:LONGEST_ISSUE]}\n\n(It is longer: {start.url})"
    return "\n\n".join(part for part in (f"Issue #{number}: {start.title}", text) if part)
