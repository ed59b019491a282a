"""Files that a person names in a setting: read whole, unless one is larger than anything that belongs there."""

import errno
from pathlib import Path

_LIMIT = 1024 * 1024
"""Characters: a file of all the world's certificates has a quarter of them."""


def read_named_file(path: Path | str, encoding: str = "utf-8", errors: str = "strict") -> str:
    """The text of the file; raises `OSError`, also where it is too large, as a device is, and `UnicodeDecodeError`."""
    with Path(path).open(encoding=encoding, errors=errors) as file:
        text = file.read(_LIMIT + 1)
    if len(text) > _LIMIT:
        raise OSError(errno.EFBIG, f"it has more than {_LIMIT:,} characters", str(path))
    return text
