"""Identities that either side can make without asking the other: UUIDv7, so that they sort by time."""

import os
import re
import time
from collections.abc import Callable

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LOOSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")


def uuid7(now_ms: Callable[[], int] | None = None, entropy: Callable[[int], bytes] = os.urandom) -> str:
    """A new UUIDv7 (RFC 9562): 48 bits of milliseconds, 74 of randomness."""
    millis = now_ms() if now_ms else time.time_ns() // 1_000_000
    value = (millis & ((1 << 48) - 1)) << 80 | int.from_bytes(entropy(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def made_at(task_id: str) -> int:
    """When a UUIDv7 was made, by the clock of whoever made it, in milliseconds since the epoch; 0 for another id."""
    return int(task_id[:8] + task_id[9:13], 16) if is_task_id(task_id) else 0


def is_task_id(text: str) -> bool:
    """Whether this is a UUIDv7 as we write it: lower case, with dashes."""
    return _UUID7.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Whether this can be the id of a session or a prompt: 1 to 128 characters that a URL takes as they are."""
    return _LOOSE.fullmatch(text) is not None
