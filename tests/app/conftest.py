"""What many apps in one process can share, and what they must not leave behind."""

from collections.abc import Iterator

import pytest
from textual._styles_cache import StylesCache
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.notifications import Notification

from tests.app.idle import pilots_see_what_is_idle


@pytest.fixture(scope="session", autouse=True)
def _pilots_see_what_is_idle() -> Iterator[None]:
    with pilots_see_what_is_idle():
        yield


@pytest.fixture(scope="session", autouse=True)
def _styles_are_parsed_once() -> Iterator[None]:
    """Each app and each theme of it has Textual parse the same styles anew: an eighth of the time of a short test."""
    parsed: dict[tuple[tuple[str, str], ...], dict[object, list[RuleSet]]] = {}
    start, set_variables = Stylesheet.__init__, Stylesheet.set_variables

    def share(sheet: Stylesheet) -> None:
        variables = tuple(sheet._variables.items())
        sheet._parse_cache = parsed.setdefault(variables, {})  # type: ignore[assignment]

    def started(self: Stylesheet, *, variables: dict[str, str] | None = None) -> None:
        start(self, variables=variables)
        share(self)

    def with_variables(self: Stylesheet, variables: dict[str, str]) -> None:
        # Textual empties the cache that it has.
        self._parse_cache = {}  # type: ignore[assignment]
        set_variables(self, variables)
        share(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "__init__", started)
        patch.setattr(Stylesheet, "set_variables", with_variables)
        yield


@pytest.fixture(scope="session", autouse=True)
def _what_is_told_stays() -> Iterator[None]:
    """A notification stays for longer than any test takes: its few seconds are over sooner where much else goes on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Notification, "time_left", property(lambda notification: 600.0))
        yield


@pytest.fixture(autouse=True)
def _nothing_drawn_is_kept() -> Iterator[None]:
    """Textual keeps up to 1,024 widgets with all that they drew; the garbage collector would look at it ever again."""
    yield
    StylesCache.get_inner_outer.cache_clear()
