"""The backend's own log: one JSON object a line, on standard error or in a file that is kept short."""

import logging
import os
import sys
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from foundry_tui.contract.codec import encode
from foundry_tui.contract.control_characters import escaped


class JsonLines(logging.Formatter):
    """Time, level, logger, message, the `fields` given as extra, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return escaped(encode(line).decode())


LOG_BYTES = 5_000_000
LOGS_KEPT = 3


class LogFile(RotatingFileHandler):
    """A file for its user alone. Standard error goes there too, and on to the next: it is where a crash is told."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, maxBytes=LOG_BYTES, backupCount=LOGS_KEPT, encoding="utf-8")

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802  # as the base has it
        """Whether the file is full. How long the line will be is not asked, since it would be made twice for that."""
        return self.stream is not None and self.stream.tell() >= self.maxBytes

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.dup2(handle, sys.stderr.fileno())
        return os.fdopen(handle, "a", encoding="utf-8")


def set_up_logging(file: Path | None) -> None:
    """Log to the file, or to standard error without one; raises `OSError` when the file cannot be written."""
    # The lines tell nothing of these, which logging would find out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = LogFile(file) if file is not None else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
