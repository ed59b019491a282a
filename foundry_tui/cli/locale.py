"""The locale that a person's terminal has."""

import os
from collections.abc import Mapping


def is_utf8(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the locale of the variables is one of UTF-8. Where none is set it is taken to be.

    Python itself sets `LC_CTYPE=C.UTF-8` where `LANG` names a locale that it does not know: that one counts then.
    """
    character_type, language = environ.get("LC_CTYPE", ""), environ.get("LANG", "")
    if character_type == "C.UTF-8" and language:
        character_type = language
    named = environ.get("LC_ALL") or character_type or language
    return not named or "utf8" in named.lower().replace("-", "")
