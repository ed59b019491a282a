"""A field's choices in a list under it, that tells when one was taken."""

from textual.message import Message
from textual.widgets import Input
from textual_autocomplete import AutoComplete


class Completion(AutoComplete):
    """Down opens it, enter or tab takes the highlighted choice."""

    class Taken(Message):
        """A choice stands in the field `control` now; the library keeps the field's own message of that to itself."""

        def __init__(self, control: Input) -> None:
            super().__init__()
            self._field = control

        @property
        def control(self) -> Input:
            return self._field

    def post_completion(self) -> None:
        super().post_completion()
        self.post_message(self.Taken(self.target))
