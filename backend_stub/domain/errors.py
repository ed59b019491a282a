"""Every error of the backend has its place in one tree, with what it means for whoever catches it::

    BackendError
    ├── StartError                  the backend cannot start; the message says what to do (exit status 1)
    ├── SettingError                a setting, or the demo's script, says what cannot be (exit status 2)
    ├── RefusedError                a request cannot be done; carries the problem that HTTP answers with
    ├── CallError                   a call to a provider or an agent failed; carries what a task shows of it
    │   ├── ProviderError             the sandbox
    │   ├── AgentError                the agent; an agent runtime derives its own from it
    │   └── GitError                  git
    ├── CallTimedOutError           a call did not end within its time
    ├── TaskMovedError              what was to be written of a task is void: there is nothing more to do
    │   ├── UnknownTaskError          there is no such task (any more)
    │   └── SupersededError           it has moved on meanwhile
    └── StorageError                a change or a read was not done
        ├── DatabaseUnusableError     the database cannot be opened at all
        ├── StorageUnavailableError   not now; trying again may help
        │   └── OutcomeUnknownError       it may have been done all the same
        ├── StaleRevisionError        the task was changed since it was read; read it and decide again
        ├── TaskExistsError           a new task has the id of another one
        ├── TaskPrunedError           a new task has the id of one that was pruned
        ├── IdTakenError              the id of a session or a prompt belongs to another task
        └── BranchTakenError          another task holds the branch

What `backend_stub.repository` raises of its own derives from `BackendError` and does not reach the server: whoever
calls it turns that into one of these.
"""

from collections.abc import Sequence

from foundry_tui.contract.problems import FieldError, Problem
from foundry_tui.contract.records import ErrorKind

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
    501: "Not known there",
    503: "Not available now",
}
"""The titles of problems by HTTP status."""
LONGEST_TEXT = 1_000
"""Characters of a problem's detail or message; what a request said is not sent back in full."""


class BackendError(Exception):
    """What the backend expects to go wrong. Any other exception is a defect, or the machine's refusal (`OSError`)."""


def first_of(group: ExceptionGroup[Exception]) -> Exception:
    """What failed first in a task group, which ended the rest of it."""
    found = group.exceptions[0]
    return first_of(found) if isinstance(found, ExceptionGroup) else found


# Starting


class StartError(BackendError):
    """The backend cannot start; the message is one sentence that names the path and says what to do."""


class SettingError(BackendError):
    """A setting has a value that cannot be; the message names it."""


# Requests


class RefusedError(BackendError):
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


# Calls to providers and agents


class CallError(BackendError):
    """A call to a provider or an agent failed; the message is what a person can act on."""

    kind = ErrorKind.PROVIDER

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable


class ProviderError(CallError):
    """The sandbox could not be made, found, released or destroyed."""


class AgentError(CallError):
    """The agent could not be installed, started or reached, or its turn failed."""

    kind = ErrorKind.AGENT


class GitError(CallError):
    """git refused."""

    kind = ErrorKind.GIT


class CallTimedOutError(BackendError):
    """The call did not end within its time."""


# A task's rows


class TaskMovedError(BackendError):
    """What was to be written of a task is void: whoever wanted to write it has nothing more to do."""


class UnknownTaskError(TaskMovedError):
    """There is no task of this id."""


class SupersededError(TaskMovedError):
    """The task has moved on meanwhile (killed, archived, closed …); the outcome is void."""


class TaskElsewhereError(TaskMovedError):
    """The task is another host's."""


class HostLostError(BackendError):
    """The host was lost while it was at what it had been asked: whether that was done is not known."""


# Storage


class StorageError(BackendError):
    """The storage did not do what was asked of it; nothing was written."""


class DatabaseUnusableError(StorageError):
    """The database cannot be opened; the message names the path and says what to do."""


class StorageUnavailableError(StorageError):
    """A change could not be committed (disk full, locked …); nothing of it was written, trying again may help."""


class OutcomeUnknownError(StorageUnavailableError):
    """Whoever was to commit a change was lost meanwhile: it may be found written, now or soon."""


class StaleRevisionError(StorageError):
    """The task was changed by somebody else since it was read; nothing was written."""


class TaskExistsError(StorageError):
    """A task of this id exists; `request` is the digest of the request that made it."""

    def __init__(self, request: bytes) -> None:
        super().__init__("a task of this id exists")
        self.request = request


class TaskPrunedError(StorageError):
    """A task of this id existed and was pruned."""


class IdTakenError(StorageError):
    """The id of a session or a prompt belongs to another task."""

    def __init__(self, field: str, id_: str) -> None:
        super().__init__(f"{field} {id_} is in use already")
        self.field = field


class BranchTakenError(StorageError):
    """Another task of this repository holds the branch."""

    def __init__(self, branch: str) -> None:
        super().__init__(f"another task holds the branch {branch}")
        self.branch = branch
