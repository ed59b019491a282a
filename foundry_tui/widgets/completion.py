"""A field's choices in a list under it, that tells when one was taken."""

from textual.message import Message
from textual_autocomplete import AutoComplete


class Completion(AutoComplete):
    """Down opens it, enter or tab takes the highlighted choice."""

    class Taken(Message):
        """A choice stands in the field now; the library keeps the field's own message of that to itself."""

    def post_completion(self) -> None:
        super().post_completion()
        self.post_message(self.Taken())
