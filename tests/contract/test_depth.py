"""How deep JSON may be nested is the same on every Python: a request beyond it is 400, whatever else is wrong in it."""

import json
import time

import msgspec
import pytest

from foundry_tui.contract import codec
from foundry_tui.contract.requests import CreateTask
from tests.backend.process import BackendProcess
from tests.contract.checks import refused


def nested(depth: int, leaf: object = 1) -> object:
    value = leaf
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize("depth", [1, 63, 64])
def test_as_deep_as_that_is_read(depth: int) -> None:
    codec.check_depth(json.dumps(nested(depth)).encode())


@pytest.mark.parametrize("depth", [65, 100, 900, 5_000, 200_000])
def test_deeper_is_no_json_for_us(depth: int) -> None:
    for document in (b"[" * depth + b"]" * depth, b"[" * depth, b'{"a":' * depth):
        with pytest.raises(msgspec.DecodeError, match="nested more than 64 deep"):
            codec.check_depth(document)
    with pytest.raises(msgspec.DecodeError):
        codec.decode(b"[" * depth, CreateTask)


TEXTS = ("[" * 1000, "{" * 1000 + '"' * 7, "\\" * 99 + "[" * 99, '"[' * 500, "\n[\u2028{" * 300)


@pytest.mark.parametrize("text", TEXTS)
def test_brackets_in_a_text_are_text(text: str) -> None:
    document = codec.encode(CreateTask(repo="r", prompt=text))
    codec.check_depth(document)
    assert codec.decode(document, CreateTask).prompt == text


def test_brackets_without_end_are_refused_without_being_followed() -> None:
    with pytest.raises(msgspec.DecodeError):
        codec.check_depth(b"[" + b"[]," * 300_000 + b"[]]")


def test_a_long_request_keeps_nobody_waiting() -> None:
    document = b'{"attachments":[' + b",".join([rb'{"kind":"file","path":"a\"]\\"}'] * 1_000_000) + b"]}"
    begin = time.process_time()
    with pytest.raises(msgspec.DecodeError):
        codec.check_depth(document)
    assert time.process_time() - begin < 0.4


@pytest.mark.parametrize("depth", [65, 200, 900, 20_000])
def test_a_request_that_is_nested_too_deeply_is_400_whatever_else_is_wrong(shared: BackendProcess, depth: int) -> None:
    for body in (b'{"prompt": 1, "x": ' + b"[" * depth + b"]" * depth + b"}", b'{"a":' * depth + b"1" + b"}" * depth):
        refused(shared.http.post("/v1/tasks", content=body, headers={"Content-Type": "application/json"}), 400)
