"""What can be done with the changes of a task while they are open."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace
from textual.content import Content

from foundry_tui.actions.context import Review
from foundry_tui.client.comments import Comment, KeptComments
from foundry_tui.contract.checkpoints import Checkpoint
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.pull_request import PullRequest
from foundry_tui.contract.records import FileDiff, TaskSummary
from foundry_tui.screens.checkpoints import checkpoint_line, clock_of, prompt_of
from foundry_tui.screens.task_changes import ask
from foundry_tui.screens.task_in_view import TaskInView
from foundry_tui.view.checkpoints import moment_within
from foundry_tui.view.comments import comments_prompt, placed_all
from foundry_tui.widgets.changes import ChangesView
from foundry_tui.widgets.since_chooser import SINCE_BASE, SINCE_LAST, Moment


class ReviewActions:
    """The actions of the table's group Changes."""

    _task: TaskInView
    _pull: PullRequest | None = None
    """The pull request as it was when its reviewers were asked after last."""

    @property
    def changes(self) -> ChangesView | None:
        """The view of the changes, if it was opened."""
        raise NotImplementedError

    @property
    def all_changes(self) -> Sequence[FileDiff]:
        """All that the task changed, as far as it is known."""
        raise NotImplementedError

    @property
    def review(self) -> Review:
        """What of the changes decides what can be done."""
        return self.changes.review if self.changes is not None else Review()

    @property
    def _view(self) -> ChangesView:
        assert self.changes is not None, "these actions apply only while the changes are open"
        return self.changes

    def action_next_hunk(self) -> None:
        self._to_hunk(1)

    def action_previous_hunk(self) -> None:
        self._to_hunk(-1)

    def _to_hunk(self, direction: int) -> None:
        if self._view.searching:
            self._view.lines.to_match(direction)
        elif not self._view.lines.to_hunk(direction):
            self._task.foundry.reply("That was the last hunk." if direction > 0 else "That was the first hunk.")

    def action_next_file(self) -> None:
        if not self._view.lines.to_file(1):
            self._task.foundry.reply("That was the last file.")

    def action_previous_file(self) -> None:
        if not self._view.lines.to_file(-1):
            self._task.foundry.reply("That was the first file.")

    def action_fold_file(self) -> None:
        self._view.lines.toggle_fold()

    def action_fold_here(self) -> None:
        self.action_fold_file()

    def action_fold_files(self) -> None:
        self._view.lines.toggle_fold_all()

    def action_ignore_space(self) -> None:
        self._view.lines.toggle_space()

    def action_wrap_lines(self) -> None:
        self._view.lines.toggle_wrap()

    def action_code_left(self) -> None:
        self._move_columns(-1)

    def action_code_right(self) -> None:
        self._move_columns(1)

    def _move_columns(self, direction: int) -> None:
        if self._view.lines.wraps:
            self._task.foundry.reply("Long lines are wrapped: nothing lies further right.")
        else:
            self._view.lines.move_columns(direction)

    def show_comments(self) -> None:
        """Show the comments as they are kept now: another process may have added some."""
        if self.changes is not None:
            with self._telling():
                self.changes.lines.show_comments(self._comments.of(self._task.task_id))

    def look_at_reviews(self, task: TaskSummary | None) -> None:
        """Ask what reviewers said, unless that was asked since the pull request became what it is."""
        pull = task.pull_request if task is not None else None
        if pull is not None and replace(pull, at=0) != self._pull:
            self._pull = replace(pull, at=0)
            self._task.screen.run_worker(self._show_reviews(), group="reviews", exclusive=True)

    async def _show_reviews(self) -> None:
        asked = self._task.foundry.commands.review_comments(self._task.task_id)
        found = await ask(self._task, asked, "read what reviewers said")
        if found is not None:
            self._view.lines.show_reviews(found.comments)

    @property
    def _comments(self) -> KeptComments:
        return self._task.foundry.commands.comments

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Say that comments cannot be kept or read."""
        try:
            yield
        except OSError as error:
            self._task.screen.notify(f"Comments cannot be kept: {error.strerror}.", severity="error")

    def take_up(self, message: ChangesView.CommentWritten | ChangesView.SinceChosen) -> None:
        """Do what was asked for in the view of the changes."""
        if isinstance(message, ChangesView.CommentWritten):
            self.keep_comment(message.comment)
        else:
            self.show_since(message.moment)

    def keep_comment(self, comment: Comment) -> None:
        """Keep a comment, or forget one that was emptied."""
        with self._telling():
            known = self._comments.of(self._task.task_id)
            before = [each for each in known if each.comment_id == comment.comment_id]
            if comment.text:
                known = self._comments.put(self._task.task_id, comment)
            elif before:
                known = self._comments.remove(self._task.task_id, before)
            self._view.lines.show_comments(known)
        self._task.show_actions()

    def action_comment(self) -> None:
        self._view.save_comment()
        if not self._view.begin_comment(uuid7()):
            self._task.foundry.reply("There is no file here to comment on.")

    def action_mark_lines(self) -> None:
        self._view.lines.mark(self._view.lines.marked is None)

    def action_unmark_lines(self) -> None:
        self._view.lines.mark(False)

    def action_send_comments(self) -> None:
        session = self._task.session
        if session is None:
            return
        with self._telling():
            known = self._comments.of(self._task.task_id)
            self._view.lines.show_comments(known)
            if known:
                document = self._view.lines.document
                # What the agent did lately does not tell whether the lines are still the same.
                said = document.comments if document.whole else placed_all(known, self.all_changes)
                text = comments_prompt(said)
                self._task.foundry.commands.prompt(session.session_id, text)
                self._view.lines.show_comments(self._comments.remove(self._task.task_id, known))
                words = "comment" if len(known) == 1 else f"{len(known):,} comments, as one prompt"
                self._task.foundry.reply(f"The agent was sent your {words}.")

    def show_since(self, moment: Moment) -> None:
        """Tell the changes since this moment."""
        raise NotImplementedError

    def action_choose_since(self) -> None:
        self._offer(())
        self._task.screen.run_worker(self._offer_checkpoints(), group="since", exclusive=True)

    async def _offer_checkpoints(self) -> None:
        asked = self._task.foundry.commands.checkpoints(self._task.task_id)
        found = await ask(self._task, asked, "list the checkpoints")
        if found is not None and self._view.review.choosing:
            self._offer(tuple(reversed(found.checkpoints)))

    def _offer(self, checkpoints: Sequence[Checkpoint]) -> None:
        store, task_id = self._task.store, self._task.task_id
        moments = [
            (SINCE_BASE, Content("base: all that the task changed")),
            (SINCE_LAST, Content("the last prompt: what the agent did since")),
        ]
        for each in checkpoints:
            told = f"{clock_of(each)} {moment_within(each, prompt_of(store, task_id, each))}"
            moments.append(
                (Moment(each.checkpoint_id, told), checkpoint_line(store, task_id, each, self._view.size.width))
            )
        self._view.offer_moments(moments)

    def action_search_changes(self) -> None:
        self._view.begin_search()

    def action_end_changes_search(self) -> None:
        self._view.end_search()
