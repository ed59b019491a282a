"""When a checkpoint was made, in words: both sides say it, the app in lists and the backend in notices."""

from foundry_tui.contract.checkpoints import Checkpoint, When
from foundry_tui.contract.wording import Wording

LONGEST_PROMPT = 60
"""Characters of a prompt that are quoted."""
_OCCASIONS: Wording[When] = Wording(
    {
        When.BEFORE: "before a prompt",
        When.AFTER: "after a turn",
        When.UNDO: "before an undo",
        When.MANUAL: "by hand",
    }
)


def occasion(when: When, clock: str = "") -> str:
    """On what occasion one is made; with the time of day, where that is given, the undo that it leads back from."""
    return f"before the undo of {clock}" if clock and when is When.UNDO else _OCCASIONS[when]


def moment_of(checkpoint: Checkpoint, prompt: str, clock: str = "") -> str:
    """The same within a sentence, with the first line of its prompt where that is known: `before “fix it”`."""
    line = first_line(prompt)
    of_turn = checkpoint.when in (When.BEFORE, When.AFTER)
    return f"{checkpoint.when} “{line}”" if line and of_turn else occasion(checkpoint.when, clock)


def first_line(prompt: str) -> str:
    """The beginning of a prompt, by which a person knows it again."""
    line = prompt.strip().partition("\n")[0].rstrip()
    return line if len(line) <= LONGEST_PROMPT else f"{line[: LONGEST_PROMPT - 1]}…"
