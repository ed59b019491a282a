"""Comments on a task's changes: where each stands in the diff as it is now, and the prompt that they make together."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from uuid import UUID, uuid5

from msgspec import Struct

from foundry_tui.client.comments import Comment
from foundry_tui.contract.pull_request import Comment as Reviewed
from foundry_tui.contract.quoting import fenced
from foundry_tui.contract.records import FileDiff
from foundry_tui.view.diffs import DiffMark
from foundry_tui.view.patches import PatchLine, parse_patch


class CommentState(StrEnum):
    """How a comment stands to the diff."""

    CURRENT = "current"
    OUTSIDE = "outside"
    """Its lines are none that the diff shows, so nobody knows whether they are still the same."""
    OUTDATED = "outdated"
    """Its lines were changed, or went."""


class PlacedComment(Struct, frozen=True):
    """A comment, and behind which line of the patch it is shown; -1 is the file's head."""

    comment: Comment
    state: CommentState
    place: int = -1
    author: str = ""
    """Which reviewer of the pull request said it; empty for a comment of one's own that was not sent yet."""
    is_settled: bool = False
    """What was said is resolved."""


def placed_review(said: Reviewed, lines: Sequence[PatchLine], *, whole: bool = True) -> PlacedComment:
    """Where what a reviewer said belongs; `lines` and `whole` as of `placed`."""
    at = said.line or 0
    text, code = said.body.replace("\r\n", "\n").strip(), said.code or ""
    comment = Comment(
        comment_id=said.comment_id, path=said.path or "", first=at, last=at, text=text, code=code, changed=True
    )
    found = placed(comment, lines, whole=whole)
    state = CommentState.OUTDATED if said.outdated else found.state
    return PlacedComment(found.comment, state, found.place, said.author, said.resolved)


def placed(comment: Comment, lines: Sequence[PatchLine], *, whole: bool = True) -> PlacedComment:
    """Where a comment belongs among the lines of its file's patch: where it was, or where its lines went. `whole`: the
    patch has all that the task changed in it, so that what is not in it is changed no more.
    """
    of_side = [place for place, line in enumerate(lines) if _number(line, comment.old)]
    wanted = comment.code.split("\n") if comment.code else []
    numbers = [_number(lines[place], comment.old) for place in of_side]
    found = [
        start
        for start in range(len(of_side) - len(wanted) + 1)
        if wanted
        and [lines[place].text for place in of_side[start : start + len(wanted)]] == wanted
        # Lines that stand beside each other in the patch need not do so in the file.
        and numbers[start + len(wanted) - 1] - numbers[start] == len(wanted) - 1
    ]
    if found:
        start = min(found, key=lambda each: abs(numbers[each] - comment.first))
        last = start + len(wanted) - 1
        moved = comment.at(numbers[start], numbers[last])
        return PlacedComment(moved, CommentState.CURRENT, of_side[last])
    if not comment.first and not wanted:
        # The whole file, whatever became of its lines.
        return PlacedComment(comment, CommentState.CURRENT)
    there = next((place for place, number in zip(of_side, numbers, strict=True) if number == comment.last), -1)
    if not wanted:
        return PlacedComment(comment, CommentState.CURRENT if there >= 0 else CommentState.OUTSIDE, there)
    was_changed = there >= 0 or (comment.changed and whole)
    return PlacedComment(comment, CommentState.OUTDATED if was_changed else CommentState.OUTSIDE, there)


def placed_all(comments: Sequence[Comment], files: Iterable[FileDiff]) -> Sequence[PlacedComment]:
    """Where these belong among all that the task changed."""
    wanted = {each.path for each in comments}
    lines = {file.path: parse_patch(file.patch).lines for file in files if file.path in wanted}
    return tuple(placed(each, lines.get(each.path, ())) for each in comments)


def _number(line: PatchLine, old: bool) -> int:
    """The number of a line in the old file or in the new one; 0 where it is not in it."""
    return line.old if old else line.new


def comment_on(comment_id: str, path: str, lines: Sequence[PatchLine], text: str) -> Comment:
    """A comment on lines of a patch: on those of the new file, or of the old one where all of them are gone. Without
    lines it is on the whole file.
    """
    if not lines:
        return Comment(comment_id=comment_id, path=path, first=0, last=0, text=text)
    new = [line for line in lines if line.mark is not DiffMark.REMOVED]
    meant = new or list(lines)
    return Comment(
        comment_id=comment_id,
        path=path,
        first=_number(meant[0], not new),
        last=_number(meant[-1], not new),
        old=not new,
        changed=any(line.mark is not DiffMark.CONTEXT for line in meant),
        code="\n".join(line.text for line in meant),
        text=text,
    )


def comments_prompt(comments: Sequence[PlacedComment]) -> str:
    """One prompt that says all of them, each with its path, its lines and their code."""
    count = len(comments)
    parts = ["A comment on your changes:" if count == 1 else f"{count} comments on your changes:"]
    for each in sorted(comments, key=lambda each: (each.comment.path, each.comment.first)):
        comment = each.comment
        about = " (lines that you removed)" if comment.old else ""
        if each.state is CommentState.OUTDATED:
            about += " (they have changed since; this is what was commented on)"
        said = [f"**{where(comment)}**{about}"]
        if comment.code:
            said.append(fenced(comment.code))
        said.append(comment.text)
        parts.append("\n".join(said))
    return "\n\n".join(parts)


def prompt_id_of(comments: Sequence[Comment]) -> str:
    """The id of the prompt that says these: the same comments with the same texts have the same."""
    words = "\0".join(f"{each.comment_id}\0{each.text}" for each in comments)
    return str(uuid5(UUID(comments[0].comment_id), words))


def where(comment: Comment) -> str:
    """Path and lines, as `path:3` or `path:3-7`; the path alone where it is the whole file."""
    return f"{comment.path}:{span(comment)}" if comment.first else comment.path


def span(comment: Comment) -> str:
    """The lines of a comment, as `3` or `3-7`; empty where it is on the whole file."""
    if not comment.first:
        return ""
    return str(comment.first) if comment.first == comment.last else f"{comment.first}-{comment.last}"
