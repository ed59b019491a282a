"""Words for what the backend tells; what there is no word for is shown as the backend wrote it."""

from typing import TypeVar

K = TypeVar("K", bound=str)


class Wording(dict[K, str]):
    """A word for each value; a value that a newer backend knows is its own word."""

    def __missing__(self, key: K) -> str:
        return str(key)
