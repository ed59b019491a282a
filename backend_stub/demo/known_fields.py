"""Fields of a document that no record has: the script's own records refuse them, those of the contract do not."""

from collections.abc import Iterable

from msgspec import inspect


def unknown_field(value: object, type_: inspect.Type, place: str = "$") -> str | None:
    """Where a field stands that the type does not have, and its name in front; None when there is none.

    `value` is JSON that the type can be made of.
    """
    if isinstance(type_, inspect.UnionType):
        return next((found for each in type_.types if (found := unknown_field(value, each, place))), None)
    if isinstance(type_, inspect.StructType) and isinstance(value, dict):
        known = {field.encode_name: field.type for field in type_.fields}
        odd = next((name for name in value if name not in known), None)
        if odd is not None:
            return f"`{odd}` - at `{place}`"
        return _first(unknown_field(each, known[name], f"{place}.{name}") for name, each in value.items())
    if isinstance(type_, inspect.VarTupleType | inspect.ListType) and isinstance(value, list):
        return _first(unknown_field(each, type_.item_type, f"{place}[{number}]") for number, each in enumerate(value))
    return None


def _first(found: Iterable[str | None]) -> str | None:
    return next((each for each in found if each), None)
