"""What could be meant by a name that is being typed: files of a sandbox or a repository, commands of an agent."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from time import perf_counter
from typing import Any, Protocol, TypeVar

from msgspec import Struct
from textual.screen import Screen

from foundry_tui.client.errors import RequestError
from foundry_tui.contract.attachments import MOST_ATTACHMENTS, FileAttachment
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.file_names import read
from foundry_tui.contract.records import SessionCommand
from foundry_tui.contract.requests import FileList
from foundry_tui.screens.shell import Shell
from foundry_tui.view.file_search import FileIndex, find, index_of, letters, score
from foundry_tui.view.mentions import Naming, Query, mention_of, mentioned
from foundry_tui.widgets.choices import Choice
from foundry_tui.widgets.naming_area import NamingArea

T = TypeVar("T")

SLICE = 0.002
"""Seconds that a search goes on before everything else has its turn."""
MOST_FOUND = 50
LISTING = "Listing the files…"
NOT_LISTED = "The files cannot be listed now"


class FileSource(Struct, frozen=True):
    """Whose files are named. `ask` waits for a list that is newer than the `computed_at` it is given."""

    key: str
    ask: Callable[[int | None], Awaitable[FileList]]


class WritingPlace(Protocol):
    """The screen in which one writes. `screen` is the same as Textual has it: for workers."""

    @property
    def screen(self) -> Screen[Any]: ...

    @property
    def foundry(self) -> Shell: ...

    def key_of(self, action_id: str) -> str:
        """The first key of an action as people write it; empty when it has none."""

    def show_actions(self) -> None:
        """Fill the footer with what can be done now."""


class Completions:
    """Fills the list of choices of one field, and tells what files a text in it names.

    `files` says whose files are meant now, None for nobody's; they are asked for when somebody begins to name one, and
    never again by themselves. `commands` are those that the agent offers now.
    """

    def __init__(
        self,
        place: WritingPlace,
        area: NamingArea,
        files: Callable[[], FileSource | None],
        commands: Callable[[], Sequence[SessionCommand]] = tuple,
    ) -> None:
        self._place = place
        self._area = area
        self._files = files
        self._commands = commands
        self._query: Query | None = None
        self._key: str | None = None
        self._listed = FileList(paths=())
        self._index: FileIndex | None = None
        self._fetching = self._searching = False

    def asked(self, query: Query | None) -> None:
        """Show what could be meant by this, or close the list."""
        before, self._query = self._query, query
        if query is None:
            self._show(())
        elif query.naming is Naming.COMMAND:
            self._show(_commands_found(self._commands(), query.text))
        else:
            if before is None or before.naming is not Naming.FILE:
                self._list()
            self._search()

    def expect(self, text: str) -> None:
        """Have the files listed that this text, which nobody has typed here, may name."""
        if "@" in text:
            self._list()

    def know(self, paths: Sequence[str]) -> None:
        """Somebody has chosen these files before, as their paths are written."""
        self._area.chosen.update(paths)

    def attachments(self, text: str) -> tuple[FileAttachment, ...]:
        """The files that the text names, to be sent with it."""
        known = _Known(self._area.chosen, self._index if self._is_current() else None)
        return tuple(FileAttachment(path=path) for path in mentioned(text, known, MOST_ATTACHMENTS))

    def _is_current(self) -> bool:
        source = self._files()
        return source is not None and source.key == self._key

    def _show(self, choices: Sequence[Choice], note: str = "") -> None:
        self._area.choices.show(choices, note)
        self._place.show_actions()

    # Files.

    def _list(self) -> None:
        source = self._files()
        if source is None:
            return
        if source.key != self._key:
            self._key, self._listed, self._index = source.key, FileList(paths=()), None
            self._place.screen.workers.cancel_group(self._place.screen, "files")
            self._fetching = False
        if not self._fetching:
            self._fetching = True
            self._place.screen.run_worker(self._fetch(source), group="files", exit_on_error=False)

    async def _fetch(self, source: FileSource) -> None:
        """Take what is known at once, then what is newer than that."""
        try:
            if self._listed.computed_at is None:
                await self._take(await source.ask(None))
            await self._take(await source.ask(self._listed.computed_at or 0))
        except RequestError:
            if self._index is None and self._is_naming_files():
                self._show((), NOT_LISTED)
        else:
            if self._index is None:
                # There is no sandbox any more, or it cannot be listed.
                self._index = FileIndex()
                self._search_again()
        self._fetching = False

    async def _take(self, listed: FileList) -> None:
        if listed.computed_at is None:
            return
        if self._index is None or listed.paths != self._listed.paths:
            self._index = await self._in_slices(index_of(listed.paths))
            self._search_again()
        self._listed = listed

    def _search_again(self) -> None:
        if self._is_naming_files():
            self._search()

    def _is_naming_files(self) -> bool:
        return self._query is not None and self._query.naming is Naming.FILE

    def _search(self) -> None:
        if self._files() is None:
            self._show(())
        elif self._index is None:
            self._show((), LISTING)
        elif not self._searching:
            self._searching = True
            self._place.screen.run_worker(self._find(), group="search", exit_on_error=False)

    async def _find(self) -> None:
        """Search for what is being named, and anew for as long as that changes."""
        try:
            while (index := self._index) is not None and (query := self._query) is not None and self._is_naming_files():

                def stands(query: Query = query, index: FileIndex = index) -> bool:
                    return query is self._query and index is self._index

                found = await self._in_slices(find(index, query.text, MOST_FOUND), stands)
                if found is not None and stands():
                    self._show([_file(path, query.text) for path in found])
                    return
        finally:
            self._searching = False

    async def _in_slices(self, steps: Generator[None, None, T], wanted: Callable[[], bool] = lambda: True) -> T | None:
        """Run to the end, a moment at a time, and not at all while a key that was typed is not handled yet.

        None once that is not `wanted` any more.
        """
        until = 0.0
        while wanted():
            if perf_counter() >= until:
                await asyncio.sleep(0)
                if self._place.foundry.typing:
                    continue
                until = perf_counter() + SLICE
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
        return None


class _Known:
    """The files that are known to be there: those that were chosen, and those that were listed."""

    def __init__(self, chosen: set[str], index: FileIndex | None) -> None:
        self._chosen = chosen
        self._listed = index.paths if index is not None else frozenset[str]()

    def __contains__(self, path: object) -> bool:
        return path in self._chosen or path in self._listed


def _file(path: str, query: str) -> Choice:
    shown = harmless(read(path))
    return Choice(
        name=shown,
        text=mention_of(path),
        places=letters(shown, query),
        folder=shown.rfind("/") + 1,
        path=path,
    )


def _commands_found(commands: Sequence[SessionCommand], query: str) -> list[Choice]:
    """The commands that a query finds, in the agent's order where it is empty, else the best first."""
    found = [command for command in commands if not query or letters(command.name, query)]
    if query:
        found.sort(key=lambda command: (-_rank(command.name, query), len(command.name)))
    return [
        Choice(
            name=f"/{command.name}",
            text=f"/{command.name}",
            places=tuple(place + 1 for place in letters(command.name, query)),
            hint=command.hint or "",
            about=command.description,
        )
        for command in found
    ]


def _rank(name: str, query: str) -> int:
    return score(name, query) + 100 * name.lower().startswith(query.lower())
