"""TOML that a person wrote: whatever it holds is read, or refused in words."""

import tomllib
from typing import Any


def read_toml(text: str) -> dict[str, Any]:
    """The document, keys to values; raises `ValueError` that says what is wrong with it.

    Not each is an error of TOML: a number may have more digits than Python reads.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
