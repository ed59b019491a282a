"""What widgets have in common that change from frame to frame."""

from typing import Protocol


class Spinning(Protocol):
    """A widget with something that turns; its screen calls `spin` for each frame while anything moves."""

    @property
    def moving(self) -> bool: ...

    def spin(self) -> None: ...
