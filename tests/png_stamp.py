"""Which SVG a PNG was drawn from, kept in the PNG itself: pixels depend on a machine's fonts, this does not."""

import hashlib
import struct
import zlib
from collections.abc import Iterator

_HEAD = b"\x89PNG\r\n\x1a\n"
_KEY = b"Source SHA-256"


def digest_of(svg: str) -> str:
    """What stands for an SVG in the PNGs drawn from it."""
    return hashlib.sha256(svg.encode()).hexdigest()


def stamped(png: bytes, svg: str) -> bytes:
    """The PNG with the digest of its SVG in a text chunk before its end."""
    text = b"tEXt" + _KEY + b"\0" + digest_of(svg).encode()
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    end = png.rindex(b"IEND") - 4
    return png[:end] + chunk + png[end:]


def stamp_of(png: bytes) -> str | None:
    """The digest in a PNG; None when it has none, or is no whole PNG."""
    if not png.startswith(_HEAD):
        return None
    found = None
    for kind, data, sound in _chunks(png):
        if not sound:
            return None
        if kind == b"tEXt" and data.startswith(_KEY + b"\0"):
            found = data[len(_KEY) + 1 :].decode()
    return found


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Kind, data, and whether the checksum says that both are what was written."""
    at = len(_HEAD)
    while at + 12 <= len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        yield kind, data, png[at + 8 + length : at + 12 + length] == struct.pack(">I", zlib.crc32(kind + data))
        at += 12 + length
