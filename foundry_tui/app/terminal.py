"""The driver of the terminal. The terminal may be lent to an editor meanwhile, or be closed at any moment."""

import os
import select
import signal
from collections.abc import Callable
from threading import Thread
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

from foundry_tui.app.textual_compat import forget_writer, is_writing, wrap_terminal


class TerminalDriver(LinuxDriver):
    """Textual's driver for Linux, but for a terminal that is gone: the app then ends, and no thread waits for it.

    Textual writes on a thread of its own, and waits for that thread when much is to be written. It would wait for ever
    when the thread has ended: because the terminal is gone, or because it is lent.
    """

    def __init__(self, app: Any, **settings: Any) -> None:
        super().__init__(app, **settings)
        self._is_gone = False
        self._host = app
        wrap_terminal(self, lambda file: _Written(file, self._gone))
        Thread(target=self._watch, name="terminal-watch", daemon=True).start()

    def write(self, data: str) -> None:
        if is_writing(self):
            super().write(data)

    def close(self) -> None:
        super().close()
        forget_writer(self)

    def resume_application_mode(self) -> None:
        # A process that was stopped from outside and goes on is told so too, though it has lent nothing.
        if is_writing(self):
            self.suspend_application_mode()
        super().resume_application_mode()
        self._host.call_later(self._host.refresh, layout=True)

    def run_input_thread(self) -> None:
        try:
            super().run_input_thread()
        except OSError:
            self._gone()

    def _watch(self) -> None:
        """Wait until the terminal hangs up; its end of file alone would be read again and again."""
        hung_up = select.poll()
        hung_up.register(self.fileno, 0)
        if any(event & select.POLLHUP for _, event in hung_up.poll()):
            self._gone()

    def _gone(self) -> None:
        """Leave as when the system says that the terminal is gone, which it tells only some of its processes."""
        if not self._is_gone:
            self._is_gone = True
            os.kill(os.getpid(), signal.SIGHUP)


class _Written:
    """A terminal's file that calls `lost` instead of raising when nothing can be written to it any more."""

    def __init__(self, file: Any, lost: Callable[[], None]) -> None:
        self._file = file
        self._lost = lost
        self.fileno = file.fileno
        self.isatty = file.isatty

    def write(self, text: str) -> None:
        self._do(self._file.write, text)

    def flush(self) -> None:
        self._do(self._file.flush)

    def _do(self, call: Callable[..., object], *words: str) -> None:
        try:
            call(*words)
        except OSError:
            self._lost()
