"""The journal of files that are changed all or none, where the disk refuses everything."""

import errno
import os
from pathlib import Path

import pytest

from backend_stub.domain.errors import GitError
from backend_stub.providers.local.way_home.journal import AFTER, BEFORE, Journal, keep_before


def test_what_is_half_made_and_cannot_be_taken_back_is_said_with_where_the_old_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout, place = tmp_path / "checkout", tmp_path / "place"
    checkout.mkdir()
    (checkout / "file").write_text("old")
    keep_before(place, checkout, ["file"])
    (place / AFTER / "file").write_text("new")
    journal = Journal.write(place, checkout, ["file"], {})

    def refuse(self: Journal, side: str, but: object = ()) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(Journal, "_become", refuse)
        with pytest.raises(GitError, match=f"could not be taken back: Input/output error.*{place / BEFORE}"):
            journal.make()
    again = Journal.read(place)
    assert again is not None and not again.make()
    assert (checkout / "file").read_text() == "new"
