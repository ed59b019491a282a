"""What the command palette finds: every action that applies here, every task, every theme."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from foundry_tui.contract.records import TaskSummary
from foundry_tui.view.cells import plain
from foundry_tui.view.filter import entry_of, matches, parse
from foundry_tui.view.groups import Grouping, Sorting, sort_key
from foundry_tui.view.keys import key_label
from foundry_tui.view.labels import STATUS_WORDS, title_of

if TYPE_CHECKING:
    from foundry_tui.app import FoundryApp

TASKS_FOUND = 30
"""Tasks that one search brings at most; more letters bring the others."""
TASKS_OFFERED = 5
"""Tasks offered before anything is typed: those that come first in the list."""


class _Provider(Provider):
    @property
    def foundry(self) -> "FoundryApp":
        """The app, by its own type."""
        from foundry_tui.app import FoundryApp

        app = self.app
        assert isinstance(app, FoundryApp)
        return app


class ActionsProvider(_Provider):
    """The actions of the table that apply on the screen below the palette, with their keys."""

    def _rows(self) -> list[tuple[str, str, Callable[[], object]]]:
        """Name, help and what to run, for each action; one that cannot be done now says why in its help."""
        app = self.foundry
        context = app.context_of(self.screen)
        rows: list[tuple[str, str, Callable[[], object]]] = []
        for action in app.actions_of(self.screen):
            if not action.palette:
                continue
            keys = app.keys_of(action)
            name = action.label.capitalize()
            if keys:
                name += f"  {key_label(keys[0], ascii_only=app.options.ascii)}"
            why = action.why_not(context)
            told = action.help if why is None else f"Not now: {why}."
            rows.append((name, told, partial(app.action_act, action.id)))
        return rows

    async def discover(self) -> Hits:
        for name, told, run in self._rows():
            yield DiscoveryHit(name, run, help=told)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, told, run in self._rows():
            score = max(matcher.match(name), matcher.match(told) * 0.8)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, text=name, help=told)


class TasksProvider(_Provider):
    """Every task, by anything that the filter of the list knows of it."""

    def _told(self, task: TaskSummary) -> str:
        separator = f" {self.foundry.glyphs.separator} "
        return separator.join(
            plain(part) for part in (STATUS_WORDS[task.status], task.repo_label, task.branch or "") if part
        )

    async def discover(self) -> Hits:
        tasks = self.foundry.store.tasks.values()
        first = sorted(tasks, key=lambda task: sort_key(task, Grouping.STATE, Sorting.NEWEST))
        for task in first[:TASKS_OFFERED]:
            yield DiscoveryHit(_label(task), partial(self.foundry.open_task, task.task_id), help=self._told(task))

    async def search(self, query: str) -> Hits:
        terms = parse(query)
        matcher = self.matcher(query)
        found = 0
        for task in self.foundry.store.tasks.values():
            if found == TASKS_FOUND:
                return
            if terms and matches(terms, entry_of(task)):
                found += 1
                label = _label(task)
                # A task found by its branch, its prompt or its id stands behind those found by their title.
                score = max(matcher.match(label), 0.3)
                highlighted = matcher.highlight(label) if matcher.match(label) else Content(label)
                open_it = partial(self.foundry.open_task, task.task_id)
                yield Hit(score, highlighted, open_it, text=label, help=self._told(task))


class ThemesProvider(_Provider):
    """Our themes and Textual's."""

    def _rows(self) -> list[tuple[str, Callable[[], None]]]:
        def choose(name: str) -> None:
            self.app.theme = name

        return [(f"Theme: {name}", partial(choose, name)) for name in sorted(self.app.available_themes)]

    async def discover(self) -> Hits:
        for name, run in self._rows():
            if "foundry" in name:
                yield DiscoveryHit(name, run)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, run in self._rows():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), run, text=name)


def _label(task: TaskSummary) -> str:
    return plain(title_of(task))[:80]
