"""What follows from an exception of a call: whether it is tried again, and the error that a task shows."""

import logging

from msgspec import UNSET

from backend_stub.domain.agent import OptionNotOfferedError
from backend_stub.domain.errors import (
    CallError,
    CallTimedOutError,
    StaleRevisionError,
    StorageUnavailableError,
    TaskMovedError,
)
from backend_stub.machine.faults import is_machine_fault
from foundry_tui.contract.records import ErrorKind, TaskError
from foundry_tui.contract.status import StageName

logger = logging.getLogger(__name__)

NO_FAILURES = (StorageUnavailableError, StaleRevisionError, TaskMovedError)
"""What a run ends with though its task has not failed: the dispatcher runs it again, or there is nothing more to do."""


def is_tried_again(error: Exception, attempts: int, most: int) -> bool:
    """Whether opening a session or telling it an option is tried again after `attempts` of at most `most`.

    A fault of this machine (no memory, no room on the disk …) passes, and says nothing about the call: such a one is
    tried again without end.
    """
    if is_machine_fault(error):
        return True
    retryable = error.retryable if isinstance(error, CallError) else isinstance(error, CallTimedOutError)
    return retryable and attempts < most


def task_error(error: Exception, doing: str, timeout_ms: int, at: int, stage: StageName | None = None) -> TaskError:
    """The error in words; `doing` completes "… did not end within 30 s", `timeout_ms` is the time it was given."""
    kind, message, retryable = _told(error, doing, timeout_ms)
    option = error.option if isinstance(error, OptionNotOfferedError) else UNSET
    return TaskError(stage=stage, kind=kind, message=message, retryable=retryable, at=at, option=option)


def _told(error: Exception, doing: str, timeout_ms: int) -> tuple[ErrorKind, str, bool]:
    """What kind of error it is, its words, and whether a person may have it tried again."""
    if isinstance(error, CallTimedOutError):
        return ErrorKind.TIMEOUT, f"{doing} did not end within {timeout_ms / 1000:g} s", True
    if isinstance(error, CallError):
        return error.kind, error.message, error.retryable
    if is_machine_fault(error):
        logger.warning("%s failed", doing, exc_info=error)
        why = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        return ErrorKind.PROVIDER, f"{doing} failed, as this machine has run out of something: {why}", True
    logger.error("%s failed in an unforeseen way", doing, exc_info=error)
    why = f"{type(error).__name__}: {error}"
    return ErrorKind.INTERNAL, f"{doing} failed in an unforeseen way ({why}); the backend's log says more", True
