"""The base of all records that the two sides exchange."""

from msgspec import Struct


class Record(Struct, frozen=True, kw_only=True, gc=False):
    """The base of all records: frozen, built by keywords. They come from JSON, so none can be part of a cycle."""
