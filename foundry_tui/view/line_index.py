"""Which item a line belongs to, when items are of different heights and only a few of them change at a time."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate


class LineIndex:
    """Heights of items in lines, and the sums of them.

    Sums are made again only behind the first height that changed, so that growing at the end costs nothing more.
    """

    def __init__(self, heights: Iterable[int] = ()) -> None:
        self._heights = list(heights)
        self._starts: list[int] = [0]

    def __len__(self) -> int:
        return len(self._heights)

    @property
    def total(self) -> int:
        """Lines of all items."""
        return self.start(len(self._heights))

    def height(self, item: int) -> int:
        """Lines of this item."""
        return self._heights[item]

    def start(self, item: int) -> int:
        """The first line of this item; of the one behind the last, the number of lines."""
        if item >= len(self._starts):
            known = len(self._starts) - 1
            self._starts[known:] = accumulate(self._heights[known:], initial=self._starts[known])
        return self._starts[item]

    def locate(self, line: int) -> tuple[int, int]:
        """The item that this line belongs to, and which line of it; raises `IndexError` outside of all items."""
        if line < 0 or line >= self.total:
            raise IndexError(line)
        item = bisect_right(self._starts, line) - 1
        return item, line - self._starts[item]

    def set(self, item: int, height: int) -> int:
        """Give an item another height; the difference in lines."""
        change = height - self._heights[item]
        if change:
            self._heights[item] = height
            del self._starts[item + 1 :]
        return change

    def extend(self, heights: Iterable[int]) -> None:
        """Add items behind the last."""
        self._heights.extend(heights)

    def truncate(self, items: int) -> None:
        """Forget all items from this one on."""
        del self._heights[items:]
        del self._starts[items + 1 :]
