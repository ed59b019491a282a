"""What can go wrong on the app's and the command line's side: one tree, whose root carries words for a person."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foundry_tui.contract.problems import Problem


class FoundryError(Exception):
    """Something went wrong that a person is told of: `message` says what, `hint` what to do next ("": nothing)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RequestError(FoundryError):
    """A request to the backend did not succeed."""


class ProblemError(RequestError):
    """The backend answered with a problem; `problem.status` is the HTTP status."""

    def __init__(self, problem: "Problem") -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem


class UnreachableError(RequestError):
    """No answer came: nobody listens, or the connection was lost on the way.

    `sent`: the request may have arrived, and been carried out, all the same. `absent`: nothing listens there.
    `silent`: it was waited for in vain.
    """

    def __init__(
        self, message: str, *, hint: str = "", sent: bool = False, absent: bool = False, silent: bool = False
    ) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent
        self.absent = absent
        self.silent = silent


class StrangeAnswerError(UnreachableError):
    """Something answers, and not as a backend of our protocol does."""
