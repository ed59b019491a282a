"""What was written at the last moment is kept when the app ends, though no field could tell of it any more."""

import pytest
from textual.widgets import Input, TextArea

from foundry_tui.contract.status import TaskStatus
from tests.app.harness import stage
from tests.app.task_scenes import SESSION, TASK, status_scene

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("keys", "field", "kept_as"),
    [
        (("enter", "i"), "Composer", f"session:{SESSION}"),
        (("n",), "#prompt", ""),
        (("enter", "t"), "#name", f"new_session:{TASK}"),
    ],
    ids=["composer", "new-task", "new-session"],
)
async def test_leaving_keeps_what_was_just_written(keys: tuple[str, ...], field: str, kept_as: str) -> None:
    async with stage(status_scene(TaskStatus.IDLE)) as on:
        await on.press(*keys)
        written = on.app.screen.query_one(field)
        assert isinstance(written, Input | TextArea)
        if isinstance(written, Input):
            written.value = "half"
        else:
            written.load_text("half")
        on.app.exit()
        draft = on.commands.drafts.get(kept_as)
        assert draft is not None
        assert "half" in (draft.prompt, draft.title)
