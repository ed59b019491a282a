"""Notifications: toasts in the app, and the terminal's bell and notifications for a person who looks elsewhere."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from foundry_tui.contract.control_characters import harmless
from foundry_tui.view.news import News, NewsKind, sentence, summary

Severity = Literal["information", "warning", "error"]
TOASTS_AT_ONCE = 3
"""More news than this in one frame become one toast."""

_SEVERITY: dict[NewsKind, Severity] = {
    NewsKind.READY: "information",
    NewsKind.ASKS: "warning",
    NewsKind.FAILED: "error",
}
_OSC_777 = frozenset({"WezTerm", "ghostty", "vscode", "rio"})


def terminal_notification(title: str, body: str, environ: Mapping[str, str] = os.environ) -> str:
    """The escape sequence that has the terminal show a notification: OSC 777 where it is known, else OSC 9.

    Control characters are taken out of both texts, so that a task's title cannot end the sequence and begin another.
    """
    title, body = harmless(title), harmless(body)
    # In OSC 777 a semicolon ends the title.
    title = title.replace(";", ",")
    known_777 = (
        environ.get("TERM_PROGRAM", "") in _OSC_777 or "VTE_VERSION" in environ or "rxvt" in environ.get("TERM", "")
    )
    sequence = f"\x1b]777;notify;{title};{body}\x07" if known_777 else f"\x1b]9;{title}: {body}\x07"
    if "TMUX" in environ:
        # tmux hands on what is wrapped like this, if `allow-passthrough` is on.
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence


def toasts(news: Sequence[News]) -> list[tuple[str, Severity]]:
    """The toasts for the news of one frame: one each, or one for all of many."""
    if len(news) > TOASTS_AT_ONCE:
        worst: Severity = "information"
        for kind in (NewsKind.ASKS, NewsKind.FAILED):
            if any(item.kind is kind for item in news):
                worst = _SEVERITY[kind]
        return [(summary(news), worst)]
    return [(sentence(item), _SEVERITY[item.kind]) for item in news]


class TerminalNotifier:
    """Rings the terminal's bell and has it show notifications, each if the options say so."""

    def __init__(self, write: Callable[[str], None], ring: Callable[[], None], *, bell: bool, terminal: bool) -> None:
        self._write = write
        self._ring = ring
        self._bell = bell
        self._terminal = terminal

    def tell(self, news: Sequence[News]) -> None:
        """One ring and one notification, however many news there are."""
        if not news:
            return
        if self._bell:
            self._ring()
        if self._terminal:
            self._write(terminal_notification("Foundry", sentence(news[0]) if len(news) == 1 else summary(news)))
