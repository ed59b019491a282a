"""The backend's log: one line for what happened, whatever others put into it."""

import json
import logging

import pytest

from backend_stub.log import SPARING_SECONDS, JsonLines, Sparing

HOSTILE = "a\nb\r\x1b]52;c;x\x07\x00\x7f\x85\x9b31m\u2028\u2029\u202eevil\u2066\ufeffß 猫"


def line_of(message: str, **fields: object) -> str:
    record = logging.LogRecord("foundry", logging.INFO, "file", 1, "%s", (message,), None)
    record.fields = fields
    formatter = JsonLines()
    formatter.secrets = ("hush-hush",)
    return formatter.format(record)


@pytest.mark.parametrize("text", [HOSTILE, "name-\udcff", HOSTILE * 1_000])
def test_no_control_character_reaches_the_log(text: str) -> None:
    line = line_of(text, why=HOSTILE)
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    told = json.loads(line)
    assert text.startswith(told["message"])
    assert told["why"] == HOSTILE
    assert len(told["message"]) <= 4_000


def test_a_secret_is_not_in_any_line() -> None:
    assert "hush-hush" not in line_of("GET /v1/hush-hush", why="no hush-hush here")


def test_what_strangers_bring_about_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    log = Sparing(logging.getLogger("foundry"), lambda: now)
    for _ in range(1_000):
        log.warning("refused %s", "x")
    log.warning("another kind")
    assert [record.getMessage() for record in caplog.records] == ["refused x", "another kind"]
    now = SPARING_SECONDS
    log.warning("refused %s", "y")
    assert vars(caplog.records[-1])["fields"] == {"untold_before": 999}
