"""What comes from an agent: JSON-RPC messages, what cannot be read, and what was lost of its stream."""

import re
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from backend_stub.agents.sandbox_agent.complaints import RpcError, rpc_error

_METHOD = re.compile(r'"method"\s*:')
_CALLED = re.compile(r'"method"\s*:\s*"([a-z_/]+)"')
_ID = re.compile(r'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)')
_ANSWER = re.compile(r'"(?:jsonrpc|result|error)"\s*:')
ABSENT = Raw(b"")


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One JSON-RPC message: a request has method and id, a notification a method, a response an id.

    What stands in them is left as it came, for errors and results may be of any JSON type; `ABSENT` if not there.
    """

    id: int | float | str | UnsetType | None = UNSET
    method: str | None = None
    params: Raw = Raw(b"{}")
    result: Raw = ABSENT
    error: Raw = ABSENT

    @property
    def request_id(self) -> str:
        """The id as it stands in JSON, by which 1 and "1" differ."""
        return "" if self.id is UNSET else msgspec.json.encode(self.id).decode()

    @property
    def failure(self) -> RpcError | None:
        """Why the request failed, if this is the answer that says so."""
        return None if bytes(self.error) in (b"", b"null") else rpc_error(self.error)

    @property
    def is_message(self) -> bool:
        """Whether it is JSON-RPC at all."""
        return self.method is not None or any(bytes(part) for part in (self.result, self.error))

    def answers(self, rpc_id: int) -> bool:
        """Whether it is the answer to our request of this number, be it that the agent has made a text of it."""
        return self.method is None and self.id is not UNSET and str(self.id) in (str(rpc_id), f"{rpc_id}.0")


class Unreadable(Struct, frozen=True):
    """Something that an agent sent and that is no message: its text, and what is wrong with it.

    `noise` is a line that is no JSON at all, as programs print that take their output for a log.
    """

    text: str
    why: str
    noise: bool = False

    @property
    def asks(self) -> str | None:
        """The method that it calls, as far as it can be told."""
        found = _CALLED.search(self.text)
        return None if found is None else found[1]


def message_of(text: str) -> Message:
    """The message of its JSON; raises `msgspec.DecodeError`."""
    return _message.decode(text)


def read_message(text: str) -> Message | Unreadable:
    """The message of its JSON, or why it is none."""
    try:
        message = _message.decode(text)
    except msgspec.DecodeError as error:
        return Unreadable(text, str(error))
    except RecursionError:
        return Unreadable(text, "it is nested too deeply")
    return message if message.is_message else Unreadable(text, "it is neither a request nor an answer")


@dataclass(frozen=True)
class Gap:
    """That many events of the stream are lost for good."""

    events: int


@dataclass(frozen=True)
class Arrival:
    """An event of the stream, with its number; `last` is the one that ends the turn."""

    number: int
    message: Message | Gap | Unreadable
    last: bool = False


def may_answer(text: str, rpc_id: int) -> bool:
    """Whether something unreadable was, or may have been, the answer to our request of this number.

    It was not when it names a method, or no id but another one.
    """
    if _METHOD.search(text) or not _ANSWER.search(text):
        return False
    ids = {match[1].strip('"') for match in _ID.finditer(text)}
    return not ids or str(rpc_id) in ids


def lost_request(text: str) -> str | None:
    """The id, as it stands in JSON, of a request that cannot be read, as far as it can be told for sure."""
    ids = _ID.findall(text)
    return ids[0] if len(ids) == 1 and _METHOD.search(text) and text.lstrip().startswith("{") else None


_message = msgspec.json.Decoder(Message)
