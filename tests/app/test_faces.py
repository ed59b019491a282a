"""Each face of the app in each width and in each way of colouring, five pictures a face: every width and way once."""

import pytest
from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.image import SVGImageSnapshotExtension

from tests.gallery import SHOTS, Shot, draw

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FACES = (
    *("says", "preview", "journey", "ready", "failed", "create"),
    *("form-filled", "review", "way-home", "checkpoints", "help"),
)
WIDTHS = (60, 80, 120, 160, 220)
WAYS = ("dark", "light", "ascii", "no-colour", "sixteen")
PREVIEW_FROM = 120
"""Columns from which on the preview stands there by itself."""


def shot_of(face: str, width: int, way: str) -> Shot:
    """The gallery's picture of a face, so wide, coloured in this way."""
    shot = next(shot for shot in SHOTS if shot.name == face)
    keys = (*shot.keys, "space") if face == "preview" and width < PREVIEW_FROM else shot.keys
    theme = {"light": "foundry-light", "sixteen": "ansi-dark"}.get(way, "foundry-dark")
    return replace(shot, keys=keys, size=(width, 36), theme=theme, ascii=way == "ascii")


@pytest.mark.parametrize("place", range(len(WIDTHS)), ids=map(str, WIDTHS))
@pytest.mark.parametrize("face", FACES)
async def test_every_face(face: str, place: int, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    width, way = WIDTHS[place], WAYS[(FACES.index(face) + place) % len(WAYS)]
    if way == "no-colour":
        monkeypatch.setenv("NO_COLOR", "1")
    picture = await draw(shot_of(face, width, way))
    assert picture == snapshot(name=f"{face}-{width}-{way}", extension_class=SVGImageSnapshotExtension)
