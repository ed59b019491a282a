"""A field's choices in a list under it, that tells when one was taken."""

from collections.abc import Iterable

from textual.geometry import Offset, Region, Spacing
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input
from textual_autocomplete import AutoComplete, DropdownItem

from foundry_tui.contract.control_characters import harmless


def choices_of(texts: Iterable[str]) -> list[DropdownItem]:
    """The choices of a list, but for texts with control characters: the library takes those out of what it fills in."""
    return [DropdownItem(text) for text in texts if harmless(text) == text]


class Completion(AutoComplete):
    """Down opens it, enter or tab takes the highlighted choice."""

    class Taken(Message):
        """A choice was put into the field `control`. The library stops the field's own message of it."""

        def __init__(self, control: Input) -> None:
            super().__init__()
            self._field = control

        @property
        def control(self) -> Input:
            return self._field

    def on_mount(self) -> None:
        self.screen.screen_layout_refresh_signal.subscribe(self, self._follow)

    def _follow(self, _: Screen[object]) -> None:
        # What is said under the field comes late, and moves the field.
        if self.display and self.is_attached:
            self._align_to_target()

    def _align_to_target(self) -> None:
        """Stand under the whole field, and under what is beside it in its row: at the cursor, pieces of what is said
        there would show beside the choices.
        """
        field = self.target.region
        rows = (each for each in self.target.ancestors if isinstance(each, Widget) and each.has_class("pair"))
        row = next((each.region for each in rows), field)
        self.option_list.styles.min_width = row.right - field.x
        place = Region(field.x, field.bottom, field.width, self.option_list.outer_size.height)
        room = self.screen.scrollable_content_region
        offset = Offset(*place.constrain("inside", "none", Spacing.all(0), room).offset)
        if offset != self.absolute_offset:
            self.absolute_offset = offset
            self.refresh(layout=True)

    def post_completion(self) -> None:
        super().post_completion()
        self.post_message(self.Taken(self.target))
