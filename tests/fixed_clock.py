"""The clock that tests and pictures of the app read."""

from foundry_tui.view.clock import FRAMES_A_SECOND


class FixedClock:
    """A clock that stands still until it is set."""

    def __init__(self, now: int = 1_780_000_000_000, frame: int = 0) -> None:
        self.now = now
        self.frame_number = frame

    def now_ms(self) -> int:
        return self.now

    def frame(self) -> int:
        return self.frame_number

    def advance(self, milliseconds: int) -> None:
        """Let time pass; the frame number passes with it."""
        self.now += milliseconds
        self.frame_number += milliseconds * FRAMES_A_SECOND // 1000
