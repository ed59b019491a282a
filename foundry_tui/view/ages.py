"""Spans of time in few characters: ages in one unit, running times in two."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def age(milliseconds: int) -> str:
    """How long ago, in at most four characters: `now`, `12m`, `5h`, `3d`, `40w`; a clock set back shows `now`."""
    if milliseconds < MINUTE:
        return "now"
    if milliseconds < HOUR:
        return f"{milliseconds // MINUTE}m"
    if milliseconds < DAY:
        return f"{milliseconds // HOUR}h"
    days = milliseconds // DAY
    return f"{days}d" if days < 100 else f"{days // 7}w"


def running_time(milliseconds: int) -> str:
    """How long something has been going on: `7s`, `2m05s`, `1h05m`, `3d04h`; never negative."""
    seconds = max(0, milliseconds) // SECOND
    if seconds < 60:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m{seconds:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h"


def ago(milliseconds: int) -> str:
    """An age in a sentence: `just now`, `12m ago`."""
    short = age(milliseconds)
    return "just now" if short == "now" else f"{short} ago"
