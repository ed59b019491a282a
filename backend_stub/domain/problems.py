"""Refusals: what a command raises when it cannot be done, with the status that HTTP gives it."""

from collections.abc import Sequence

from foundry_tui.contract.problems import FieldError, Problem

TITLES = {
    400: "Malformed request",
    401: "Not authorised",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request too slow",
    409: "Conflict",
    413: "Request too large",
    422: "Wrong value",
    429: "Too many requests",
    431: "Request head too large",
    500: "Internal error",
    503: "Not available now",
}


LONGEST_TEXT = 1_000
"""Characters of a detail or a message; what a request said is not sent back in full."""


class RefusedError(Exception):
    """The request cannot be done; `problem` says why."""

    def __init__(
        self, status: int, detail: str, *, errors: Sequence[FieldError] = (), would_lose: Sequence[str] = ()
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(
            status=status,
            title=TITLES[status],
            detail=_shortened(detail),
            errors=tuple(errors),
            would_lose=tuple(would_lose),
        )


def not_found(what: str) -> RefusedError:
    return RefusedError(404, f"There is no {what}.")


def conflict(detail: str, would_lose: Sequence[str] = ()) -> RefusedError:
    return RefusedError(409, detail, would_lose=would_lose)


def wrong_values(*errors: tuple[str, str]) -> RefusedError:
    """422: field and message of each."""
    return RefusedError(
        422,
        " ".join(message for _, message in errors),
        errors=[FieldError(field=_shortened(field), message=_shortened(message)) for field, message in errors],
    )


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
