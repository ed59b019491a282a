"""How a backend tells which FOUNDRY_* variables it was started with: by what stands for their values, which may be
secret."""

import hashlib
from collections.abc import Mapping

PREFIX = "FOUNDRY_"


def fingerprints(environ: Mapping[str, str]) -> dict[str, str]:
    """What stands for the value of each FOUNDRY_* variable that is not empty, by its name."""
    return {
        name: hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        for name, value in environ.items()
        if name.startswith(PREFIX) and value
    }
