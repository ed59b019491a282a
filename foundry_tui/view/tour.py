"""The demo's tour: ten keys, what each is for, and where one stands. Pure: who draws it and hears keys is elsewhere."""

from msgspec import Struct


class Stop(Struct, frozen=True):
    """One thing to press: the action of the table that it stands for, and why."""

    action: str
    why: str


STOPS: tuple[Stop, ...] = (
    Stop("cursor_bottom", "goes to the last task: one line each, grouped by what it needs from you"),
    Stop("next_waiting", "jumps to the task that waits for a person, wherever you are"),
    Stop("open", "opens it: what the agent did, and its question whole"),
    Stop("answer_1", "answers it, and the agent goes on at once"),
    Stop("fold_all", "unfolds all that tools printed and changed, and folds it again"),
    Stop("back", "leads back; wherever you are, it leads out"),
    Stop("filter", "filters as you type, as in status:failed or repo:shop"),
    Stop("back", "clears the filter"),
    Stop("group", "groups by repository instead of by what is needed"),
    Stop("new_task", "hands over a task of your own; here it is only simulated"),
)
LAST = "That was the tour. ? shows the keys of each screen, ctrl+p finds everything by name."


class Tour:
    """Where one stands in it."""

    def __init__(self, stops: tuple[Stop, ...] = STOPS) -> None:
        self._stops = stops
        self._done = 0

    @property
    def stop(self) -> Stop | None:
        """What is to be pressed next; None when it is over."""
        return self._stops[self._done] if self._done < len(self._stops) else None

    def pressed(self, action: str) -> bool:
        """Go on if this was what was to be pressed; whether it was."""
        went_on = self.stop is not None and self.stop.action == action
        self._done += went_on
        return went_on

    def words(self, key: str) -> tuple[str, str, str]:
        """Where one stands, the key to press, and why; `key` is what the stop's action has."""
        stop = self.stop
        return (f"{self._done + 1} of {len(self._stops)}", key, stop.why) if stop is not None else ("", "", LAST)
