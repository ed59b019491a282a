"""What can be done with the conversation that a task's screen shows: search, copy, fold."""

from foundry_tui.actions.context import Context
from foundry_tui.contract.replace import replace
from foundry_tui.screens.task_in_view import TaskInView
from foundry_tui.widgets.search_row import SearchRow
from foundry_tui.widgets.transcript import Transcript


class Reading:
    """The actions of the table's group Reading, on the conversation."""

    def __init__(self, task: TaskInView, transcript: Transcript) -> None:
        self._task = task
        self._transcript = transcript
        self._row: SearchRow | None = None
        self.picking = False
        """Whether the blocks of code in sight have numbers, one of which is to be picked."""

    @property
    def searching(self) -> bool:
        """Whether something is searched for."""
        return self._row is not None and self._row.display

    def told(self, context: Context) -> Context:
        """The context of the screen, with what can be done with the conversation."""
        transcript, in_sight = self._transcript, not self._task.pane
        return replace(
            context,
            reading=in_sight and transcript.last_item is not None,
            foldable=in_sight and transcript.has_folds,
            answered=bool(transcript.last_answer),
            code=in_sight and transcript.has_code,
            picking_code=self.picking,
            searching=self.searching,
            found=self._transcript.search.total if self.searching else 0,
        )

    def end(self) -> bool:
        """End what was begun here last: picking, the search, the mark at an item. Whether there was one."""
        if self.picking:
            self._pick_no_more()
            return True
        if self._row is not None and self._row.display:
            self._task.screen.set_focus(None)
            self._row.display = False
            self._transcript.search_for("")
            return True
        return self._transcript.release()

    def give_place(self, talking: bool) -> None:
        """The conversation is in sight, or another view is open in its stead."""
        if not talking:
            self._pick_no_more()
            if self._row is not None and self._row.display:
                self._row.display = False
                self._transcript.search_for("")
        self.tell_count()

    def tell_count(self) -> None:
        """Say how often it was found by now."""
        if self._row is None or not self._row.display:
            return
        search = self._transcript.search
        if not search.wanted:
            self._row.show_count("")
        elif search.total:
            self._row.show_count(f"{search.place:,} of {search.total:,}")
        else:
            self._row.show_count("not found")

    async def action_search(self) -> None:
        if self._row is None:
            self._row = SearchRow(self._search_for, "search in what was said and done")
            self._task.foundry.read_styles("widgets/search_row.tcss")
            await self._task.screen.mount(self._row, after=self._transcript)
        self._row.begin()

    def _search_for(self, text: str) -> None:
        self._transcript.search_for(text)
        self.tell_count()
        self._task.show_actions()

    def action_keep_search(self) -> None:
        self._task.screen.set_focus(None)
        if not self._transcript.search.wanted:
            self.end()

    def action_find_next(self) -> None:
        self._find(1)

    def action_find_previous(self) -> None:
        self._find(-1)

    def _find(self, direction: int) -> None:
        self._transcript.find(direction)
        self.tell_count()

    def action_copy_answer(self) -> None:
        text = self._transcript.last_answer
        self._task.foundry.copy(text, f"the last answer, {_lines(text)}")

    def action_copy_code(self) -> None:
        if len(self._transcript.code_in_view()) == 1:
            self._copy(1)
        else:
            self.picking = True
            self._transcript.number_code(True)

    def _copy(self, number: int) -> None:
        blocks = self._transcript.code_in_view()
        self._pick_no_more()
        if number <= len(blocks):
            text = blocks[number - 1][1]
            self._task.foundry.copy(text, f"a block of code, {_lines(text)}")

    def _pick_no_more(self) -> None:
        if self.picking:
            self.picking = False
            self._transcript.number_code(False)

    def action_fold(self) -> None:
        if not self._transcript.toggle_fold():
            self._task.foundry.reply("Nothing of it is left out.")

    def action_fold_all(self) -> None:
        self._transcript.fold(not self._transcript.unfolded)

    def action_previous_item(self) -> None:
        self._choose(-1)

    def action_next_item(self) -> None:
        self._choose(1)

    def _choose(self, direction: int) -> None:
        if not self._transcript.choose(direction):
            self._task.foundry.reply(f"No tool call or thought {'further down' if direction > 0 else 'further up'}.")

    def action_pick_code_1(self) -> None:
        self._copy(1)

    def action_pick_code_2(self) -> None:
        self._copy(2)

    def action_pick_code_3(self) -> None:
        self._copy(3)

    def action_pick_code_4(self) -> None:
        self._copy(4)

    def action_pick_code_5(self) -> None:
        self._copy(5)

    def action_pick_code_6(self) -> None:
        self._copy(6)

    def action_pick_code_7(self) -> None:
        self._copy(7)

    def action_pick_code_8(self) -> None:
        self._copy(8)

    def action_pick_code_9(self) -> None:
        self._copy(9)


def _lines(text: str) -> str:
    count = len(text.strip().split("\n"))
    return f"{count:,} line{'s' * (count != 1)}"
