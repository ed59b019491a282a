"""The rows of the table of actions that belong to dialogs, and to the fields in which one writes."""

from collections.abc import Sequence

from foundry_tui.actions.context import (
    COMPOSER,
    CONFIRM,
    FILTER,
    HELP,
    KILL,
    NEW_SESSION,
    NEW_TASK,
    OPTIONS,
    RENAME,
    SEARCH,
    TITLE,
    WORK,
)
from foundry_tui.actions.model import Action
from foundry_tui.actions.rules import can_steer

_W = frozenset({COMPOSER})
_F = frozenset({WORK})

FIELDS: Sequence[Action] = (
    Action(
        "steer",
        "ctrl+s,ctrl+enter",
        "steer",
        "Send what is written into the turn that runs, before all that waits.",
        "Writing",
        _W,
        applies=can_steer,
        footer=2,
    ),
    Action(
        "send",
        "enter,ctrl+enter,ctrl+s",
        "send",
        "Send what is written to the agent, after what waits; or save the waiting prompt that was changed.",
        "Writing",
        _W,
        footer=1,
        label_of=lambda context: "save" if context.changing else "send",
    ),
    Action("newline", "ctrl+j,shift+enter,alt+enter", "new line", "Begin a new line.", "Writing", _W, footer=3),
    Action(
        "recall",
        "up",
        "recall",
        "In an empty field: the newest prompt that waits, to be changed; after these, what was sent before.",
        "Writing",
        _W,
        applies=lambda context: context.recallable,
        footer=3,
        palette=False,
        label_of=lambda context: "edit queued" if context.queued else "recall",
    ),
    Action("earlier_prompt", "ctrl+up", "earlier prompt", "The prompt sent before, to send again.", "Writing", _W),
    Action(
        "later_prompt", "ctrl+down", "later prompt", "The prompt sent after, and back to what is new.", "Writing", _W
    ),
    Action(
        "keep_filter",
        "enter",
        "to the list",
        "Keep the filter and go to the list.",
        "Writing",
        frozenset({FILTER}),
        footer=1,
    ),
    Action(
        "keep_search",
        "enter",
        "to the matches",
        "Keep what is searched for, and go from match to match with the keys of the screen.",
        "Writing",
        frozenset({SEARCH}),
        footer=1,
    ),
    Action("open_file", "enter", "open diff", "Open the diff at the highlighted file.", "Files", _F, footer=1),
    Action("file_up", "up,k", "up", "One file up.", "Files", _F, palette=False),
    Action("file_down", "down,j", "down", "One file down.", "Files", _F, palette=False),
    Action("save_title", "enter,ctrl+s", "save", "Give the task this title.", "Writing", frozenset({TITLE}), footer=1),
)
"""What can be done in the fields in which one writes, and in the list of changed files."""

_N = frozenset({NEW_TASK})
_S = frozenset({NEW_SESSION})
_Q = frozenset({CONFIRM, KILL})
_O = frozenset({OPTIONS})

DIALOGS: Sequence[Action] = (
    Action("create", "ctrl+s,ctrl+enter", "create", "Create the task.", "New task", _N, footer=1),
    Action("line_break", "ctrl+j", "new line", "Begin a new line, as enter does.", "New task", _N, palette=False),
    Action("open_editor", "ctrl+e", "editor", "Write the prompt in $EDITOR.", "New task", _N, footer=3, priority=True),
    Action("toggle_options", "ctrl+o", "options", "Title, branch, agent, provider.", "New task", _N, footer=4),
    Action("toggle_another", "ctrl+t", "another", "Stay open to create another.", "New task", _N, footer=5),
    Action(
        "open_session",
        "enter,ctrl+s,ctrl+enter",
        "open",
        "Open the session; what is left empty is as it says.",
        "New session",
        _S,
        footer=1,
    ),
    Action("set_option", "enter", "set", "Set this value, also while the agent works.", "Options", _O, footer=1),
    Action("next_option", "tab", "next", "To the next option.", "Options", _O, footer=3),
    Action("previous_option", "shift+tab", "before", "To the option before.", "Options", _O),
    Action("close_options", "escape,q,M", "close", "Close; what was set stays.", "Options", _O, footer=2),
    Action("close_dialog", "escape", "close", "Close and keep what was written.", "Dialog", _N | _S, footer=2),
    Action("keep_title", "escape", "cancel", "Leave the title as it is.", "Dialog", frozenset({RENAME}), footer=2),
    Action("confirm", "y", "yes", "Do it.", "Question", _Q, footer=1),
    Action("decline", "n,escape", "no", "Do nothing.", "Question", _Q, footer=2),
    Action("other_answer", "left,right", "other", "Go to the other answer.", "Question", _Q, palette=False),
    Action(
        "confirm_with_branch",
        "b",
        "with branch",
        "Do it, and delete the branch, which has no commit of its own.",
        "Question",
        frozenset({KILL}),
        applies=lambda context: context.bare_branch,
        footer=3,
    ),
    Action(
        "close",
        "escape,q,question_mark,f1",
        "close",
        "Close this page.",
        "App",
        frozenset({HELP}),
        footer=1,
        palette=False,
    ),
)
"""What can be done in dialogs, and on the page of keys."""
