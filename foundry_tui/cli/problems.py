"""How a command fails: exit codes, and the error that carries one with words that say what to do next."""

from collections.abc import Iterator
from contextlib import contextmanager

from foundry_tui.client.errors import FoundryError, ProblemError

DONE = 0
FAILED = 1
USAGE = 2
NO_TASK = 3
TASK_ERROR = 4
TIMED_OUT = 5
UNREACHABLE = 6
ASKS = 7
INTERRUPTED = 130

EXIT_CODES = {
    DONE: "done",
    FAILED: "refused or failed",
    USAGE: "usage",
    NO_TASK: "no such task",
    TASK_ERROR: "the task ended in error while waited for",
    TIMED_OUT: "timed out",
    UNREACHABLE: "backend unreachable",
    ASKS: "it asks",
}
"""What each exit code means, in the words of the help."""


class CommandError(FoundryError):
    """A command ends here: its words go to stderr, `exit_code` to the caller."""

    def __init__(self, message: str, *, exit_code: int = FAILED, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class NoTaskError(CommandError):
    """No task goes by what was given."""

    def __init__(self, given: str) -> None:
        super().__init__(f"no task {given!r}", exit_code=NO_TASK, hint="see which there are: foundry list")


@contextmanager
def asking_about(given: str | None) -> Iterator[None]:
    """Requests about the task that goes by `given`, or about all: where there is no such task, `NoTaskError`."""
    try:
        yield
    except ProblemError as error:
        if error.problem.status == 404 and given is not None:
            raise NoTaskError(given) from None
        raise
