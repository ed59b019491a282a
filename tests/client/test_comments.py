"""Comments that were not sent go with their task."""

from pathlib import Path

from foundry_tui.client.comments import Comment, KeptComments


def test_nothing_is_left_of_a_task_that_is_gone_and_others_keep_theirs(tmp_path: Path) -> None:
    kept = KeptComments.beside(tmp_path / "app.json")
    for task_id in ("gone", "stays"):
        kept.put(task_id, Comment(comment_id="1", path="a.py", first=1, last=1, text="why?"))
    kept.forget("gone")
    kept.forget("unknown")
    assert kept.count("gone") == 0 and kept.count("stays") == 1
    assert not [file for file in tmp_path.rglob("*") if "gone" in file.name]
