"""`foundry` without words: asks for the first snapshot before the app is imported, since both take their time.

For the rows of `python -m tests.bench first_content`.
"""

import gc
from collections.abc import Mapping

from foundry_tui.cli.startup.terminal import need_terminal


def launch(flags: Mapping[str, object]) -> int:
    """Open the app; its exit code. Raises `CommandError` where there is no terminal."""
    need_terminal()
    # importing makes objects that stay: looking through them again and again is a tenth of the start
    gc.disable()

    from foundry_tui.cli.context import Context

    context = Context(flags)
    target, _ = context.target

    from foundry_tui.cli.startup.prefetch import PrefetchedSnapshot

    prefetched = PrefetchedSnapshot(target)

    from foundry_tui.cli.startup.app import run_app

    return run_app(context, prefetched)
