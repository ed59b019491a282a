"""How the backend refuses: `application/problem+json` (RFC 9457)."""

from msgspec import Struct, field

PROBLEM_TYPE = "application/problem+json"
LARGEST_BODY = 1024 * 1024
"""Bytes that the body of a request can have which brings no attachments."""

NOT_KNOWN = 501
"""The status of what only another version knows."""
NO_ROUTE = "There is no such route."
NO_METHOD = "This route has no such method."
"""What a backend says of the paths and methods that it does not have."""


class FieldError(Struct, frozen=True, kw_only=True):
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error answer: `errors` comes with 422, `would_lose` with the 409 of archive and kill."""

    status: int
    title: str
    detail: str
    # A plain default would be left out of the JSON, where RFC 9457 readers look for it.
    type: str = field(default_factory=lambda: "about:blank")
    errors: tuple[FieldError, ...] = ()
    would_lose: tuple[str, ...] = ()
    request_id: str | None = None


def too_large(size: int, limit: int) -> Problem:
    """What a backend answers to a body of `size` bytes, known without asking it."""
    detail = (
        f"This is too long to be sent: it takes {size:,} bytes, and the limit is {limit:,}. Shorten it, or put "
        "it into a file and name that."
    )
    return Problem(status=413, title="Content Too Large", detail=detail)


def missing_route_as_501(problem: Problem) -> Problem:
    """The problem as a client takes it: a 404 or 405 for want of the route becomes a 501 that says so.

    This version asks for nothing that its own backend lacks, so that one without the route is of an earlier version.
    Left a 404, it would be taken for a task that is gone.
    """
    if problem.detail not in (NO_ROUTE, NO_METHOD):
        return problem
    detail = (
        "The backend does not know this: it is of an earlier version. Nothing was done. Update it and start it again."
    )
    return Problem(status=NOT_KNOWN, title="Not known to this backend", detail=detail)
