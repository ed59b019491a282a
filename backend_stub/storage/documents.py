"""JSON of records whose parts are kept in rows of their own: the parts are put in as they are kept, unread."""

from collections.abc import Iterable

from msgspec import UNSET, Raw, Struct, UnsetType, defstruct, structs

from foundry_tui.contract.codec import decode, encode


def unread(record: type[Struct]) -> type[Struct]:
    """A record of the same fields, each of which is left as it stands in JSON, or out where it does not stand there."""
    fields = [(field.name, Raw | UnsetType, UNSET) for field in structs.fields(record)]
    return defstruct(f"Unread{record.__name__}", fields, frozen=True, kw_only=True, gc=False)


def whole(document: bytes, type_: type[Struct], **parts: object) -> bytes:
    """JSON of the document, which is an `unread` record, with these fields; raises `msgspec.DecodeError`."""
    return encode(structs.replace(decode(document, type_), **parts))


def listed(documents: Iterable[tuple[bytes]]) -> tuple[Raw, ...]:
    """The rows of one column as what `encode` writes as a list."""
    return tuple(Raw(document) for (document,) in documents)
