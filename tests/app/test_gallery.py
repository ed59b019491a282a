"""The pictures in `screenshots/` are those that the app draws now."""

import pytest

from tests.gallery import FOLDER, SHOTS, captions, draw_all, is_drawn_from
from tests.png_stamp import digest_of, stamp_of, stamped

A_PNG = b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IEND" + bytes.fromhex("ae426082")


@pytest.mark.slow
def test_the_gallery_is_current() -> None:
    stale = [name for name, svg in draw_all().items() if (FOLDER / f"{name}.svg").read_text() != svg]
    assert stale == [], "draw them anew: python -m tests.gallery"


def test_every_picture_has_its_caption() -> None:
    assert (FOLDER / "README.md").read_text() == captions()


def test_every_png_was_drawn_from_the_svg_beside_it() -> None:
    svgs = {shot.name: (FOLDER / f"{shot.name}.svg").read_text() for shot in SHOTS if shot.png}
    stale = [name for name, svg in svgs.items() if not is_drawn_from(FOLDER / f"{name}.png", svg)]
    assert stale == [], "draw them anew: python -m tests.gallery"
    assert {path.stem for path in FOLDER.glob("*.png")} == set(svgs)


def test_a_png_tells_its_svg_unless_it_was_tampered_with() -> None:
    png = stamped(A_PNG, "<svg/>")
    assert stamp_of(png) == digest_of("<svg/>") != digest_of("<svg />")
    assert stamp_of(A_PNG) is None
    assert stamp_of(png.replace(b"SHA-256", b"SHA-512")) is None
    assert stamp_of(b"<html>") is None
