"""From the screen of one task to that of the next that waits for a person, in the order of the list."""

from typing import TYPE_CHECKING

from foundry_tui.contract.task_words import Group
from foundry_tui.screens.tasks import TasksScreen

if TYPE_CHECKING:
    from foundry_tui.app.host import Host
    from foundry_tui.view.order import TaskOrder


class NextAsk:
    """The actions that lead from question to question, in the order of the list below, whatever its filter hides."""

    def __init__(self, host: "Host") -> None:
        self._host = host

    @property
    def _order(self) -> "TaskOrder | None":
        """The order of the list; None where it does not stand yet."""
        home = self._host.app.screen_stack[0]
        return home.tasks.order if isinstance(home, TasksScreen) and home.is_mounted else None

    def beside(self, task_id: str) -> int:
        """How many tasks wait for a person beside this one, as far as the list knows."""
        order = self._order
        return order.others(task_id, Group.NEEDS_INPUT) if order is not None else 0

    def action_next_ask(self) -> None:
        self._go(1)

    def action_previous_ask(self) -> None:
        self._go(-1)

    def _go(self, direction: int) -> None:
        here, order = self._host.context().task, self._order
        if order is None:
            return
        found = order.beyond(here.task_id if here is not None else "", direction, Group.NEEDS_INPUT)
        if found is not None:
            self._host.open_task(found, instead=True)
