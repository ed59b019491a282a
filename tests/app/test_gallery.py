"""The pictures in `screenshots/` are those that the app draws now."""

import pytest

from tests.gallery import FOLDER, SHOTS, captions, draw_all


@pytest.mark.slow
def test_the_gallery_is_current() -> None:
    stale = [name for name, svg in draw_all().items() if (FOLDER / f"{name}.svg").read_text() != svg]
    assert stale == [], "draw them anew: python -m tests.gallery"


def test_every_picture_has_its_caption_and_readme_pictures_are_there() -> None:
    assert (FOLDER / "README.md").read_text() == captions()
    assert [shot.name for shot in SHOTS if shot.png and not (FOLDER / f"{shot.name}.png").is_file()] == []
