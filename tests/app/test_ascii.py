"""`--ascii` draws every state of every screen in ASCII; only what people wrote is left as it is."""

import html
import re

import pytest
from msgspec.structs import replace

from tests.app import task_scenes
from tests.app.list_scenes import store_of_every_state
from tests.gallery import NARROW, SHOTS, Shot, draw

pytestmark = pytest.mark.anyio

MORE = (
    Shot("palette", "", store_of_every_state, ("ctrl+p", *"the")),
    Shot("options", "", store_of_every_state, ("n", "ctrl+o", "tab", *"a..b", "ctrl+s"), NARROW),
    Shot("agents", "", store_of_every_state, ("n", "ctrl+o", "tab", "tab", "tab", "down")),
    Shot("toast", "", store_of_every_state, ("u",)),
    Shot("composer", "", task_scenes.permission_scene, ("i", *"one", "ctrl+j", *"two"), opens=True),
    Shot("unfolded", "", task_scenes.permission_scene, ("O", "home"), (60, 20), opens=True),
    Shot("details", "", task_scenes.permission_scene, ("D",), NARROW, opens=True),
    Shot("changes", "", task_scenes.permission_scene, ("d",), NARROW, opens=True),
    Shot("title", "", task_scenes.permission_scene, ("f2",), opens=True),
    Shot("filtered", "", store_of_every_state, ("slash", *"status:bogus")),
)

WRITTEN = re.compile("[а-яА-Я]+")
"""The one task of these worlds that was not asked for in ASCII."""


@pytest.mark.slow
@pytest.mark.parametrize("shot", [*SHOTS, *MORE], ids=lambda shot: shot.name)
async def test_every_screen_is_drawn_in_ascii(shot: Shot) -> None:
    svg = await draw(replace(shot, ascii=True), toasts=True)
    drawn = html.unescape(" ".join(re.findall(r">([^<]*)</text>", svg))).replace("\xa0", " ")
    assert len(drawn) > 100
    assert sorted({letter for letter in WRITTEN.sub("", drawn) if not letter.isascii()}) == []
