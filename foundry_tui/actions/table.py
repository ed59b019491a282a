"""The one table of actions: keys, footer, palette and `?` are all derived from it.

An action's id is the name of the method that does it: `action_<id>` on the field in which one writes, on the screen,
or on the app. Its keys are bindings with that id, so that the configuration can give it others.
"""

from collections.abc import Iterator, Mapping, Sequence

from textual.binding import Binding, BindingType

from foundry_tui.actions.availability import (
    asks_nothing,
    failed_in_turn,
    has_ended,
    has_failed,
    is_any,
    is_ended,
    is_living,
    is_refused,
    lacks_option,
    may_leave_out,
    needs_list,
    needs_one_real,
    needs_real,
    needs_task,
    needs_waiting,
    why_no_release,
    why_no_retry,
    why_no_way_back,
    why_not_made_ready,
)
from foundry_tui.actions.changes import CHANGES_FIELDS, CHANGES_ROWS
from foundry_tui.actions.checkpoints import CHECKPOINT_ACTIONS
from foundry_tui.actions.context import (
    APP,
    CHECKPOINTS,
    CONFIRM,
    DIAGNOSTICS,
    HELP,
    INSTALL,
    KILL,
    OPTIONS,
    TASK,
    TASKS,
    WAY_HOME,
    Context,
)
from foundry_tui.actions.dialogs import DIALOGS, FIELDS
from foundry_tui.actions.model import Action
from foundry_tui.actions.task import TASK_ROWS
from foundry_tui.actions.way_home import BRINGING_HOME
from foundry_tui.contract.filter import EXAMPLES


def find(action_id: str) -> Action:
    """The action of this id; raises `KeyError` when there is none."""
    return _BY_ID[action_id]


def on_screen(screen: str) -> Iterator[Action]:
    """The actions that a screen (or a field) has of its own, in the table's order."""
    return (action for action in ACTIONS if screen in action.screens)


def bindings(screen: str) -> list[BindingType]:
    """The key bindings of a screen (or a field, or `APP`), each with its action's id for `App.set_keymap`.

    Keys that are pressed one after the other are no binding: `sequences` has them.
    """
    return [
        Binding(
            single,
            f"app.press('{action.id}')",
            action.label,
            tooltip=action.help,
            id=action.id,
            priority=action.priority,
        )
        for action in on_screen(screen)
        if (single := ",".join(key for key in keys_of(action, {}) if not is_sequence(key)))
    ]


def keys_of(action: Action, keymap: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of an action after the configuration's changes (action id → keys, comma between)."""
    keys = keymap.get(action.id, action.keys)
    return tuple(key.strip() for key in keys.split(",") if key.strip())


def is_sequence(keys: str) -> bool:
    """Whether these are keys to be pressed one after the other, as `g g`."""
    return " " in keys


def sequences(screen: str, keymap: Mapping[str, str]) -> dict[str, Action]:
    """The actions of a screen that take several keys one after the other, by these keys with spaces between."""
    return {
        keys: action
        for place in (screen, APP)
        for action in on_screen(place)
        for keys in keys_of(action, keymap)
        if is_sequence(keys)
    }


def live(context: Context, *, dialog: bool = False) -> list[Action]:
    """The actions that apply now: the field's, the screen's, then the app's; in a dialog only those with priority."""
    app = (action for action in on_screen(APP) if action.priority or not dialog)
    places = (on_screen(context.field), on_screen(context.screen), app)
    return [action.named(context) for place in places for action in place if action.applies(context)]


def with_key(context: Context, key: str, keymap: Mapping[str, str]) -> Action | None:
    """The action that this key of the screen, or of the app, belongs to, whether it applies now or not."""
    for place in (context.screen, APP):
        for action in on_screen(place):
            if key in keys_of(action, keymap):
                return action
    return None


# One letter each, so that a row of the table stays on its line.
_T = frozenset({TASKS})
_TT = frozenset({TASKS, TASK})
"""The list and a task: what both have stands here; what a task alone has is in `task.py`."""
_A = frozenset({APP})

_TASKS_SCREEN: Sequence[Action] = (
    Action("open", "enter", "open", "Open the highlighted task.", "Tasks", _T, why_not=needs_task, footer=2),
    Action("cursor_up", "up,k", "up", "One task up.", "Move", _T, palette=False),
    Action("cursor_down", "down,j", "down", "One task down.", "Move", _T, palette=False),
    Action("page_up", "pageup,ctrl+b", "page up", "One screen up.", "Move", _T, palette=False),
    Action("page_down", "pagedown,ctrl+f", "page down", "One screen down.", "Move", _T, palette=False),
    Action("half_page_up", "ctrl+u", "half up", "Half a screen up.", "Move", _T, palette=False, applies=asks_nothing),
    Action(
        "half_page_down", "ctrl+d", "half down", "Half a screen down.", "Move", _T, palette=False, applies=asks_nothing
    ),
    Action("cursor_top", "home,g g,less_than_sign", "top", "The first task.", "Move", _T, palette=False),
    Action("cursor_bottom", "end,G,greater_than_sign", "bottom", "The last task.", "Move", _T, palette=False),
    Action(
        "previous_group",
        "left_square_bracket",
        "previous group",
        "The first task of the group above.",
        "Move",
        _T,
        palette=False,
    ),
    Action(
        "next_group",
        "right_square_bracket",
        "next group",
        "The first task of the group below.",
        "Move",
        _T,
        palette=False,
    ),
    Action(
        "next_waiting",
        "tab,full_stop",
        "next ask",
        "Jump to the next task that waits for a person.",
        "Move",
        _T,
        why_not=needs_waiting,
        footer=6,
    ),
    Action(
        "previous_waiting",
        "shift+tab,comma",
        "previous ask",
        "Jump back to the task before that waits for a person.",
        "Move",
        _T,
        why_not=needs_waiting,
    ),
    Action(
        "filter",
        "slash",
        "filter",
        f"Filter as you type: words, {', '.join(EXAMPLES.values())}, !not.",
        "View",
        _T,
        footer=4,
    ),
    Action(
        "peek",
        "space",
        "preview",
        "Show the highlighted task beside the list, or not; from 120 columns on it stands there by itself.",
        "View",
        _T,
        why_not=needs_task,
        applies=lambda context: not context.selecting,
        footer=5,
    ),
    Action(
        "mark",
        "space",
        "mark",
        "Mark the highlighted task, or not any more, and go to the next.",
        "Selection",
        _T,
        why_not=needs_task,
        applies=lambda context: context.selecting,
        footer=5,
    ),
    Action(
        "select",
        "v",
        "select",
        "Mark the highlighted task, or not any more; what acts on tasks then acts on all marked ones that are shown.",
        "Selection",
        _T,
        why_not=needs_list,
        footer=11,
    ),
    Action(
        "mark_all",
        "ctrl+a",
        "mark all",
        "Mark the group of the highlighted task, then all tasks, then none; what is filtered is marked at once.",
        "Selection",
        _T,
        why_not=needs_list,
    ),
    Action("group", "b", "group", "Group by state or by repository.", "View", _T, footer=12),
    Action("sort", "S", "sort", "Sort within groups: newest, last changed, title, repository.", "View", _T, footer=13),
)

_DIAG = frozenset({DIAGNOSTICS})
_R = frozenset({TASK, HELP, DIAGNOSTICS, CONFIRM, KILL, OPTIONS, INSTALL, CHECKPOINTS, WAY_HOME})
"""All that is read by scrolling."""

_READING: Sequence[Action] = (
    Action("line_up", "up,k", "up", "One line up.", "Move", _R, palette=False),
    Action("line_down", "down,j", "down", "One line down.", "Move", _R, palette=False),
    Action("screen_up", "pageup,ctrl+b", "page up", "One screen up.", "Move", _R, palette=False),
    Action("screen_down", "pagedown,ctrl+f,space", "page down", "One screen down.", "Move", _R, palette=False),
    Action("half_screen_up", "ctrl+u", "half up", "Half a screen up.", "Move", _R, palette=False, applies=asks_nothing),
    Action(
        "half_screen_down",
        "ctrl+d",
        "half down",
        "Half a screen down.",
        "Move",
        _R,
        palette=False,
        applies=asks_nothing,
    ),
    Action("to_start", "home,g g,less_than_sign", "top", "To the beginning.", "Move", _R, palette=False),
    Action("to_end", "end,G,greater_than_sign", "bottom", "To the end, and follow it.", "Move", _R, palette=False),
    Action("columns_left", "left", "left", "The columns to the left of those shown.", "Move", _DIAG, palette=False),
    Action("columns_right", "right", "right", "The columns to the right of those shown.", "Move", _DIAG, palette=False),
)

_SHARED: Sequence[Action] = (
    Action(
        "retry",
        "r",
        "retry",
        "Go on from the stage that failed, or send the prompt again whose turn failed.",
        "Tasks",
        _TT,
        why_not=why_no_retry,
        footer=7,
        of=has_failed,
    ),
    Action(
        "leave_option_out",
        "I",
        "retry without it",
        "Go on without the option that its agent does not offer: that is as the agent has it by itself.",
        "Tasks",
        _TT,
        why_not=needs_real,
        applies=may_leave_out,
        of=lacks_option,
    ),
    Action(
        "make_ready",
        "R",
        "make ready",
        "Be ready again after a failed turn, and send nothing.",
        "Tasks",
        _TT,
        why_not=why_not_made_ready,
        of=failed_in_turn,
    ),
    Action(
        "archive",
        "a",
        "archive",
        "Release the sandbox and keep the task for reading; can be undone for a few seconds.",
        "Tasks",
        _TT,
        why_not=why_no_release,
        of=is_living,
        footer=8,
    ),
    Action(
        "undo",
        "u",
        "undo",
        "Take back the archiving that was just asked for.",
        "Tasks",
        _TT,
        why_not=lambda context: None if context.undoable else "there is nothing to undo",
        applies=lambda context: context.undoable,
        footer=1,
    ),
    Action(
        "kill",
        "x",
        "kill",
        "Stop the task and destroy its sandbox; asks first.",
        "Tasks",
        _TT,
        why_not=why_no_release,
        applies=lambda context: not is_refused(context) and not is_ended(context),
        of=is_living,
        footer=9,
    ),
    Action(
        "prune",
        "x",
        "remove",
        "Remove the archived or killed task for good; asks first.",
        "Tasks",
        _TT,
        why_not=needs_real,
        applies=lambda context: not is_refused(context) and is_ended(context),
        of=has_ended,
        footer=9,
    ),
    Action(
        "discard", "x", "discard", "Discard the creation that was refused.", "Tasks", _TT, applies=is_refused, footer=9
    ),
    Action(
        "edit_again",
        "e",
        "edit & create",
        "Open the new-task dialog filled in from this task.",
        "Tasks",
        _TT,
        why_not=needs_task,
    ),
    Action("toggle_unread", "m", "unread", "Mark as unread, or as read.", "Tasks", _TT, why_not=needs_real, of=is_any),
    Action(
        "copy_branch",
        "y",
        "copy branch",
        "Copy the branch name.",
        "Tasks",
        _TT,
        why_not=lambda context: None if context.task and context.task.branch else "it has no branch yet",
    ),
    Action("copy_id", "Y", "copy id", "Copy the task's id.", "Tasks", _TT, why_not=needs_task),
    Action(
        "trust_setup",
        "",
        "trust set-up",
        "See what the set-up of this task's repository would run, and trust it.",
        "Tasks",
        _TT,
        why_not=needs_one_real,
    ),
)

_EVERYWHERE: Sequence[Action] = (
    Action(
        "new_task",
        "n",
        "new task",
        "Hand a new task to an agent.",
        "Tasks",
        _A,
        applies=lambda context: not context.searching,
        footer=3,
    ),
    Action(
        "back",
        "escape",
        "back",
        "Out of whatever is open: the filter, the selection, the preview, the screen.",
        "App",
        _A,
        why_not=why_no_way_back,
        applies=lambda context: why_no_way_back(context) is None and not context.naming,
        footer=1,
        palette=False,
        label_of=lambda context: "put back" if context.changing else "end search" if context.searching else "back",
    ),
    Action(
        "command_palette",
        "ctrl+p,colon",
        "palette",
        "Every action and every task, by a few letters.",
        "App",
        _A,
        footer=21,
        palette=False,
        priority=True,
    ),
    Action("leave", "q", "leave", "Out of the screen; from the list, out of Foundry.", "App", _A, palette=False),
    Action(
        "show_help",
        "question_mark,f1",
        "keys",
        "The keys of this screen.",
        "App",
        _A,
        applies=lambda context: context.screen not in ("", HELP),
        footer=20,
        priority=True,
    ),
    Action("reconnect", "ctrl+r", "reconnect", "Connect to the backend again at once.", "App", _A),
    Action(
        "start_backend",
        "B",
        "start backend",
        "Start the backend again, if it is ours and has ended.",
        "App",
        _A,
        why_not=lambda context: context.why_no_start,
    ),
    Action("diagnostics", "f12", "diagnostics", "Connections, freshness and counts.", "App", _A),
    Action("toggle_theme", "T", "light/dark", "Change between the light and the dark theme.", "App", _A),
    Action(
        "toggle_notifications",
        "",
        "notifications",
        "Turn notifications of tasks that are not in view on or off.",
        "App",
        _A,
    ),
    Action("suspend_process", "ctrl+z", "suspend", "Back to the shell; there, fg comes back here.", "App", _A),
    Action("quit", "ctrl+q", "quit", "Leave Foundry.", "App", _A, footer=23, priority=True),
)

ACTIONS: tuple[Action, ...] = (
    *FIELDS,
    *CHANGES_FIELDS,
    *_TASKS_SCREEN,
    *CHANGES_ROWS,
    *TASK_ROWS,
    *CHECKPOINT_ACTIONS,
    *_READING,
    *DIALOGS,
    *_SHARED,
    *BRINGING_HOME,
    *_EVERYWHERE,
)
"""Every action there is; rows of one screen stand together."""

_BY_ID: dict[str, Action] = {action.id: action for action in ACTIONS}
