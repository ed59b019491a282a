"""Words of the backend that a newer one may add to."""

from enum import StrEnum
from typing import Self


class OpenEnum(StrEnum):
    """A set of words that is not closed: one that is not among them is a member all the same, under its own name.

    So a client reads what a newer backend tells, and shows it as it is. Each reading of an unknown word makes a new
    object: compare with `==`, or with `is` against the members that are written here. Words that a request may bear
    are a plain `StrEnum`, so that an unknown one is refused.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = word._value_ = value
        return word

    @property
    def is_known(self) -> bool:
        """Whether it is one of the words that are written here."""
        return self._value_ in type(self)._value2member_map_
