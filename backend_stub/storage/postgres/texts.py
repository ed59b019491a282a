"""Texts with the character NUL in columns of words, which PostgreSQL has no place for."""

import re

from psycopg import AsyncConnection
from psycopg.types.string import StrDumperUnknown, TextBinaryLoader, TextLoader

_ESCAPE = "\1"
_TO = str.maketrans({"\0": _ESCAPE + "0", _ESCAPE: _ESCAPE + "1"})
_ESCAPED = re.compile(_ESCAPE + "([01])")


def adapt(connection: AsyncConnection) -> None:
    """Have the connection give back each text as it took it, whatever is in it."""
    connection.adapters.register_dumper(str, _Dumper)
    connection.adapters.register_loader("text", _Loader)
    connection.adapters.register_loader("text", _BinaryLoader)


class _Dumper(StrDumperUnknown):
    def dump(self, obj: str) -> bytes:
        return obj.translate(_TO).encode() if "\0" in obj or _ESCAPE in obj else obj.encode()


class _Loader(TextLoader):
    def load(self, data: bytes | bytearray | memoryview) -> str:
        return _loaded(data)


class _BinaryLoader(TextBinaryLoader):
    def load(self, data: bytes | bytearray | memoryview) -> str:
        return _loaded(data)


def _loaded(data: bytes | bytearray | memoryview) -> str:
    text = bytes(data).decode()
    return _ESCAPED.sub(lambda found: "\0" if found[1] == "0" else _ESCAPE, text) if _ESCAPE in text else text
