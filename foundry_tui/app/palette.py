"""What the command palette finds: every action that applies here, the agent's commands and options, tasks, themes.

Over a dialog it finds what can be done there, and themes.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

from textual.binding import Binding, BindingType
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher
from textual.screen import ModalScreen, Screen

from foundry_tui.actions.availability import why_no_options, why_no_writing
from foundry_tui.actions.context import Context
from foundry_tui.actions.model import Action
from foundry_tui.app.host import Host
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.filter import Term, entry_of, matching, parse
from foundry_tui.contract.options import choices_of
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.task_words import STATUS_WORDS, Group, group_of, needs_person
from foundry_tui.screens.base import ClosedOnce
from foundry_tui.view.file_search import letters
from foundry_tui.view.groups import Grouping, Sorting, SortKey, sort_key
from foundry_tui.view.keys import key_label
from foundry_tui.view.labels import title_of

TASKS_FOUND = 30
"""Tasks that one search brings at most; more letters bring the others."""
LOOKED_AT_AT_ONCE = 500
"""Tasks of which a search looks at all at once, between which it may have found enough."""
LETTERS = 3
"""Letters from which a search may be for tasks that stand somewhere."""
FIRST = 1000.0
"""The score of a task that stands where the search says: more than any action's."""
_STANDS = {
    Group.NEEDS_INPUT: "needs input asks you waits for you",
    Group.WORKING: "working",
    Group.FAILED: "failed",
}
"""By which words tasks are found by where they stand: those that one goes to from anywhere."""
TASKS_OFFERED = 5
"""Tasks offered before anything is typed: those that come first in the list."""


class Palette(CommandPalette, ClosedOnce[None]):
    """Textual's command palette. Its own keys for pages fail while there is no room for a line of its list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "page('page_down')", "Next page", show=False),
        Binding("pageup", "page('page_up')", "Previous page", show=False),
    ]

    async def action_page(self, way: str) -> None:
        """Move by a page: `page_down` or `page_up`."""
        if self.query_one(CommandList).scrollable_content_region:
            await self.run_action(f"command_list('{way}')")


@runtime_checkable
class Prompting(Protocol):
    """A screen on which one writes to an agent."""

    def begin_prompt(self, words: str) -> None:
        """Put these words before what is written, to be gone on with."""


class PaletteHost(Host, Protocol):
    """The app as the palette sees it."""

    @property
    def available_themes(self) -> Mapping[str, object]:
        """All themes, by name."""

    def choose_theme(self, name: str) -> None:
        """Take a theme, and keep it for the next start unless the settings name one."""

    def context_of(self, screen: Screen[Any]) -> Context:
        """What actions would act on if this screen were on top."""

    def actions_of(self, screen: Screen[Any]) -> list[Action]:
        """The actions that apply while this screen is on top."""


class PaletteProvider(Provider):
    """Finds actions, tasks and themes. All three in one provider, since Textual mixes what several of them find."""

    @property
    def foundry(self) -> PaletteHost:
        """The app, as the palette sees it."""
        return cast("PaletteHost", self.app)

    async def discover(self) -> Hits:
        for name, told, run in self._actions():
            yield DiscoveryHit(Content(name), run, help=told)
        for task in sorted(self._tasks(), key=_as_listed)[:TASKS_OFFERED]:
            run_it = partial(self.foundry.open_task, task.task_id)
            yield DiscoveryHit(Content(_label(task)), run_it, help=self._told(task))
        for name, choose in self._themes():
            if "foundry" in name:
                yield DiscoveryHit(name, choose)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, told, run in self._actions():
            score = _found(matcher, name)[0]
            if _begin_words(query, told):
                score = max(score, _found(matcher, told)[0] * 0.8)
            if score > 0:
                yield Hit(score, _highlighted(matcher, name), run, text=name, help=told)
        standing = {task.task_id: task for task in self._standing(query)}
        for task in standing.values():
            label = _label(task)
            yield Hit(FIRST, Content(label), partial(self.foundry.open_task, task.task_id), label, self._told(task))
        for task in self._filtered(query):
            if task.task_id in standing:
                continue
            label = _label(task)
            score = _found(matcher, label)[0]
            # A task found by its branch, its prompt or its id stands behind those found by their title.
            shown = _highlighted(matcher, label) if score > 0 else Content(label)
            run_it = partial(self.foundry.open_task, task.task_id)
            yield Hit(max(score, 0.3), shown, run_it, text=label, help=self._told(task))
        for name, choose in (*self._options(), *self._themes()):
            if _begin_words(query, name):
                yield Hit(_found(matcher, name)[0], _highlighted(matcher, name), choose, text=name)

    def _actions(self) -> list[tuple[str, str, Callable[[], object]]]:
        """Name, help and what to run, for each action of the screen below; one that cannot be done says why."""
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
        return rows + self._commands(context)

    def _commands(self, context: Context) -> list[tuple[str, str, Callable[[], object]]]:
        """The same for the commands of the agent in view, which begin a prompt."""
        session = self.foundry.store.session(context.session.session_id) if context.session is not None else None
        if session is None or why_no_writing(context) is not None or not isinstance(self.screen, Prompting):
            return []
        begin = self.screen.begin_prompt
        return [
            (f"/{harmless(command.name)}", harmless(command.description), partial(begin, f"/{command.name} "))
            for command in session.commands
        ]

    def _options(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Each value that an option of the agent in view can be set to, with what sets it: more than are shown at once,
        so they are found only.
        """
        foundry = self.foundry
        context = foundry.context_of(self.screen)
        shown = foundry.store.session(context.session.session_id) if context.session is not None else None
        if shown is None or why_no_options(context) is not None or not isinstance(self.screen, Prompting):
            return
        for option in shown.options:
            for value, choice in choices_of(option):
                run = partial(foundry.commands.set_option, shown.session_id, option.option_id, value)
                yield f"{harmless(option.name)}: {harmless(choice.name)}", run

    def _tasks(self) -> Collection[TaskSummary]:
        """The tasks that one can go to: none from a dialog, which would stay open below the task."""
        return () if isinstance(self.screen, ModalScreen) else self.foundry.store.tasks.values()

    def _filtered(self, query: str) -> Iterator[TaskSummary]:
        """Tasks that the filter of the list would show, `TASKS_FOUND` at most."""
        return islice(self._matching(parse(query)), TASKS_FOUND)

    def _standing(self, query: str) -> list[TaskSummary]:
        """Tasks that stand where the search says, as `asks` or `failed`: `TASKS_FOUND` at most, in the list's order."""
        text = query.strip().lower()
        groups = {group for group, words in _STANDS.items() if len(text) >= LETTERS and f" {text}" in f" {words}"}
        tasks = [task for task in self._tasks() if groups and group_of(task) in groups]
        return sorted(tasks, key=_as_listed)[:TASKS_FOUND]

    def _matching(self, terms: Sequence[Term]) -> Iterator[TaskSummary]:
        """Those tasks, some at once, which is much sooner than one by one and need not look at all of them."""
        tasks = list(self._tasks()) if terms else []
        for start in range(0, len(tasks), LOOKED_AT_AT_ONCE):
            some = tasks[start : start + LOOKED_AT_AT_ONCE]
            found = matching(terms, {task.task_id: entry_of(task) for task in some})
            yield from (task for task in some if task.task_id in found)

    def _told(self, task: TaskSummary) -> str:
        stands = "asks you" if needs_person(task) else STATUS_WORDS[task.status]
        parts = (stands, task.repo_label, task.branch or "")
        told = f" {self.foundry.glyphs.separator} ".join(harmless(part) for part in parts if part)
        # Textual looks for markup in a string, and takes a content as it stands.
        return cast("str", Content(told))

    def _themes(self) -> list[tuple[str, Callable[[], None]]]:
        foundry = self.foundry
        return [(f"Theme: {name}", partial(foundry.choose_theme, name)) for name in sorted(foundry.available_themes)]


def _as_listed(task: TaskSummary) -> SortKey:
    return sort_key(task, Grouping.STATE, Sorting.NEWEST)


def _label(task: TaskSummary) -> str:
    return harmless(title_of(task))[:80]


def _begin_words(query: str, name: str) -> bool:
    """Whether each word of the query, which has one at least, begins a word of the name.

    Themes are found so, and actions by what is told of them: letters anywhere would find one for nearly all that is
    typed, and a chosen theme stays chosen.
    """
    words, begins = re.findall(r"\w+", name.lower()), re.findall(r"\w+", query.lower())
    return bool(begins) and all(any(word.startswith(begun) for word in words) for begun in begins)


def _found(matcher: Matcher, text: str) -> tuple[float, Sequence[int]]:
    """How well the text has what is looked for, and where; (0, ()) if it does not.

    Textual's own search tries every choice of letters: in what an agent says of a command it takes hours over a word.
    """
    places = letters(text, matcher.query)
    if not places:
        return 0.0, ()
    whole = places[-1] - places[0] < len(places)
    factor = (2.0 if len(places) == len(text) else 1.5) if whole else 1.0
    return matcher.fuzzy_search.score(text.lower(), places) * factor, places


def _highlighted(matcher: Matcher, text: str) -> Content:
    """The text with its letters that were found standing out; none of it is markup, as Textual would have it."""
    content = Content(text)
    _, found = _found(matcher, text)
    for place in found:
        if not text[place].isspace():
            content = content.stylize(matcher.match_style, place, place + 1)
    return content
