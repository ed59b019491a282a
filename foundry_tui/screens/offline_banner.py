"""What screens say while the backend is away: a banner above things that are shown as they stood."""

from typing import TYPE_CHECKING

from textual.widgets import Static

from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.contract.control_characters import harmless
from foundry_tui.contract.events import Topic, TopicKind
from foundry_tui.screens.base import FoundryScreen, ResultT
from foundry_tui.view.labels import offline_words

if TYPE_CHECKING:
    from foundry_tui.client.store import Store


class OfflineBannerScreen(FoundryScreen[ResultT]):
    """A screen with a place for that banner, which is made when it is first wanted."""

    BANNER_ABOVE = ""
    """What the banner stands above, as a selector."""
    _banner: Static | None = None

    def show_offline_banner(self, *shown: Freshness) -> None:
        """Show the banner with what can be said now if one of what is `shown` is offline, or take it away."""
        offline = next((each for each in shown if each.state is FreshnessState.OFFLINE), None)
        if self._banner is None:
            if offline is None:
                return
            self._banner = Static(id="banner", markup=False)
            self.mount(self._banner, before=self.BANNER_ABOVE)
        self._banner.display = offline is not None
        if offline is not None:
            app = self.foundry
            start_key = self.key_of("start_backend") if app.why_no_start is None else ""
            self._banner.update(
                harmless(offline_words(offline, starting=app.starting, start_key=start_key), lines=True)
            )


def freshness_of(store: "Store", task_id: str) -> Freshness:
    """How far what is shown of a task can be trusted: as its own topic, or as the list where that says the same."""
    own = store.freshness(Topic(TopicKind.TASK, task_id))
    detail, listed = store.detail(task_id), store.tasks.get(task_id)
    if own.is_live or (detail is not None and (listed is None or listed.revision > detail.revision)):
        return own
    return store.freshness()
