"""The rows of the table of actions that belong to a task's changes. While these are open their keys come first."""

from collections.abc import Sequence

from foundry_tui.actions.availability import why_no_writing
from foundry_tui.actions.context import CHANGES, CHANGES_SEARCH, CHANGES_SINCE, COMMENT, TASK, Context
from foundry_tui.actions.model import Action

_K = frozenset({TASK})
_F = frozenset({CHANGES_SEARCH})
_S = frozenset({CHANGES_SINCE})
_C = frozenset({COMMENT})


def are_open(context: Context) -> bool:
    """Whether the changes are what one looks at."""
    return context.pane == CHANGES and not context.review.choosing


def is_searching(context: Context) -> bool:
    """Whether something is searched for in them."""
    return are_open(context) and context.review.searching


def why_not_open(context: Context) -> str | None:
    return None if are_open(context) else "the changes are not open"


def why_nothing_to_read(context: Context) -> str | None:
    return why_not_open(context) or context.review.why_empty


def why_no_comments(context: Context) -> str | None:
    return None if context.review.comments else "there is no comment to send"


def _row(id: str, keys: str, label: str, help: str, footer: int = 0) -> Action:
    return Action(id, keys, label, help, "Changes", _K, why_not=why_nothing_to_read, applies=are_open, footer=footer)


CHANGES_FIELDS: Sequence[Action] = (
    Action(
        "keep_changes_search",
        "enter",
        "to the matches",
        "Keep what is searched for, and go from match to match.",
        "Writing",
        _F,
        footer=1,
    ),
    Action(
        "drop_changes_search",
        "escape",
        "end search",
        "Search for nothing any more.",
        "Writing",
        _F,
        footer=2,
        palette=False,
    ),
    Action("take_since", "enter", "compare", "Tell the changes since this moment.", "Changes", _S, footer=1),
    Action(
        "leave_since",
        "escape,b",
        "close",
        "Tell the changes since the same moment as before.",
        "Changes",
        _S,
        footer=2,
        palette=False,
    ),
    Action(
        "keep_comment",
        "ctrl+s,ctrl+enter,escape",
        "keep",
        "Keep the comment, to be sent with the others; an empty one is forgotten.",
        "Writing",
        _C,
        footer=1,
    ),
    Action("break_line", "enter", "new line", "Begin a new line.", "Writing", _C, footer=2, palette=False),
)

CHANGES_ROWS: Sequence[Action] = (
    Action(
        "end_changes_search",
        "escape",
        "end search",
        "Search for nothing any more in the changes.",
        "Changes",
        _K,
        applies=is_searching,
        footer=1,
        palette=False,
    ),
    Action(
        "unmark_lines",
        "escape",
        "unmark",
        "Mark no lines any more.",
        "Changes",
        _K,
        applies=lambda context: are_open(context) and context.review.marking,
        footer=1,
        palette=False,
    ),
    Action(
        "send_comments",
        "ctrl+s",
        "send comments",
        "Send all comments to the agent as one prompt, with path, lines and code.",
        "Changes",
        _K,
        why_not=lambda context: why_not_open(context) or why_no_writing(context) or why_no_comments(context),
        applies=lambda context: are_open(context) and context.review.comments > 0,
        footer=1,
        label_of=lambda context: f"send {context.review.comments:,} comment{'s' * (context.review.comments != 1)}",
    ),
    Action(
        "next_hunk",
        "n",
        "next hunk",
        "The next hunk of the changes; while something is searched for, the next match.",
        "Changes",
        _K,
        why_not=why_nothing_to_read,
        applies=are_open,
        footer=1,
        label_of=lambda context: "next match" if context.review.searching else "next hunk",
    ),
    _row("previous_hunk", "N", "hunk before", "The hunk before this one, or the match before."),
    _row("next_file", "right_square_bracket", "next file", "The next changed file.", 1),
    _row("previous_file", "left_square_bracket", "file before", "The beginning of this file, then the file before."),
    _row(
        "comment",
        "m",
        "comment",
        "Write a comment on the line, the marked lines or, at a file's name, the file; or change the one here.",
        2,
    ),
    _row("mark_lines", "v", "mark lines", "Begin a range of lines to comment on, or mark none.", 3),
    _row("fold_file", "o", "fold", "Fold the file, or unfold it.", 2),
    Action(
        "fold_here",
        "enter",
        "open",
        "Unfold the file whose name one is on, or fold it.",
        "Changes",
        _K,
        why_not=why_nothing_to_read,
        applies=lambda context: are_open(context) and context.review.at_head,
        palette=False,
    ),
    _row(
        "fold_files",
        "O",
        "fold all",
        "Fold all files to a list, or unfold all but generated and huge ones.",
        2,
    ),
    _row("search_changes", "slash", "search", "Search in the changes as you type.", 2),
    _row("ignore_space", "W", "white space", "Ignore changes of white space, or show them.", 3),
    _row("wrap_lines", "L", "long lines", "Wrap long lines to see all of them, or cut them at the edge.", 3),
    Action(
        "choose_since",
        "b",
        "since",
        "Choose since when: base, the last prompt, or a checkpoint.",
        "Changes",
        _K,
        why_not=why_not_open,
        applies=are_open,
        footer=2,
    ),
    _row("code_left", "left", "left", "What lies further left in long lines."),
    _row("code_right", "right", "right", "What lies further right in long lines."),
)
