"""The backend's own log: one JSON object a line, on standard error or in a file that is kept short."""

import json
import logging
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from foundry_tui.contract.codec import encode
from foundry_tui.contract.control_characters import escaped

LONGEST = 4_000
"""Characters of a message; what others said is in it."""


class JsonLines(logging.Formatter):
    """Time, level, logger, message, the `fields` given as extra, and the traceback where there is one.

    Texts of others are in it with every control character escaped, and without `secrets`.
    """

    secrets: tuple[str, ...] = ()

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._open(record.getMessage())[:LONGEST],
        }
        fields: dict[str, object] = getattr(record, "fields", {})
        line |= {name: self._open(value) if isinstance(value, str) else value for name, value in fields.items()}
        if record.exc_info:
            line["traceback"] = self._open(self.formatException(record.exc_info))
        try:
            text = encode(line).decode()
        except UnicodeEncodeError:
            # A name of a file that is no UTF-8.
            return json.dumps(line)
        return escaped(text)

    def _open(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "…")
        return text


class Sparing:
    """Tells of what strangers can bring about as often as they like: at most once a minute, each kind for itself.

    What was not told is counted in the next line of its kind.
    """

    def __init__(self, logger: logging.Logger, now: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._now = now
        self._told: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def warning(self, message: str, *values: object) -> None:
        """`message` is the kind; it comes from this program and has placeholders for what others said."""
        now = self._now()
        if now < self._told.get(message, -math.inf) + SPARING_SECONDS:
            self._untold[message] += 1
            return
        self._told[message] = now
        since = self._untold.pop(message, 0)
        fields = {"untold_before": since} if since else {}
        self._logger.warning(message, *values, extra={"fields": fields})


SPARING_SECONDS = 60
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
        os.fchmod(handle, 0o600)
        os.dup2(handle, sys.stderr.fileno())
        return os.fdopen(handle, "a", encoding="utf-8")


def keep_secret(*secrets: str) -> None:
    """Let no line from now on have one of these in it."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonLines):
            handler.formatter.secrets += secrets


def set_up_logging(file: Path | None) -> None:
    """Log to the file, or to standard error without one; raises `OSError` when the file cannot be written."""
    # The lines tell nothing of these, which logging would find out for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = LogFile(file) if file is not None else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # What it warns of are requests that nobody can understand; the refusal has a line of its own.
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.levelno != logging.WARNING)
