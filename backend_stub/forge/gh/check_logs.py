"""What is worth reading of a check's log: its end up to the error, without stamps and colours. Pure."""

import re

_STAMP = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*Z ?", re.MULTILINE)
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROL = re.compile(r"[^\S\n\t ]|[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_ERROR = re.compile(r"^##\[error\].*$", re.MULTILINE)
"""The line by which GitHub's runner says that a step has failed; what follows is its clearing away."""


def end_of_log(log: str, most: int) -> tuple[str, bool]:
    """The last `most` characters of a log up to its last error, in whole lines; and whether something was left out
    before them.
    """
    text = _STAMP.sub("", log.replace("\r\n", "\n").replace("\r", "\n"))
    text = _CONTROL.sub("", _ESCAPE.sub("", text))
    errors = list(_ERROR.finditer(text))
    text = (text[: errors[-1].end()] if errors else text).strip("\n")
    if len(text) <= most:
        return text, False
    end = text[len(text) - most :]
    _, broken, whole = end.partition("\n")
    return (whole if broken and whole.strip() else end), True
