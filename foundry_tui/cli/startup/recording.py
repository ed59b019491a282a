"""Recording the demo: the real app over the real demo, drawn nowhere, with keys pressed at fixed times."""

from pathlib import Path
from typing import TYPE_CHECKING

from textual.events import Key

from foundry_tui.app.textual_compat import strips_of
from foundry_tui.demo.cast import KEYS, PICTURES_A_SECOND, SECONDS, Cast

if TYPE_CHECKING:
    from foundry_tui.app.app import FoundryApp


async def record(app: "FoundryApp", file: Path) -> None:
    """Press the keys, write down the pictures, and leave the app; to be run as a worker of the app."""
    import anyio

    cast, keys = Cast(), list(KEYS)
    begun = anyio.current_time()
    for number in range(round(SECONDS * PICTURES_A_SECOND)):
        at = number / PICTURES_A_SECOND
        await anyio.sleep_until(begun + at)
        while keys and keys[0][0] <= at:
            app.post_message(Key(*keys.pop(0)[1]))
        cast.picture(at, strips_of(app))
    try:
        await anyio.to_thread.run_sync(file.write_text, str(cast), "utf-8")
    except OSError as trouble:
        app.exit(return_code=1, message=f"foundry: {file} cannot be written: {trouble.strerror}")
    else:
        app.exit()
