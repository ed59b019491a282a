"""The options that an agent offers for a session: which one is meant, what it can be set to, and how that is said."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from backend_stub.domain.agent import OptionValue
from foundry_tui.contract.records import OptionType, SessionOption

MOST_NAMED = 30
"""Choices that a sentence lists."""


def find(options: Sequence[SessionOption], name: str) -> SessionOption | None:
    """The option of this option_id, else the first of this category."""
    by_id = (option for option in options if option.option_id == name)
    by_category = (option for option in options if option.category == name)
    return next(by_id, None) or next(by_category, None)


def why_not(option: SessionOption, value: OptionValue) -> str | None:
    """Why the option cannot have this value, as a sentence that names its choices; None when it can."""
    if option.type is OptionType.BOOLEAN:
        return None if isinstance(value, bool) else f"{option.name} is true or false."
    if value in [choice.value for choice in option.choices]:
        return None
    return f"Choose one of {_listed(choice.value for choice in option.choices)} for {option.option_id}."


def with_value(
    options: Sequence[SessionOption], option_id: str, value: OptionValue, error: str | None = None
) -> tuple[SessionOption, ...]:
    """The options with one of them set; `error` says that it could not be set to what was asked for."""
    return tuple(replace(each, value=value, error=error) if each.option_id == option_id else each for each in options)


def chosen(options: Sequence[SessionOption], category: str) -> str | None:
    """The name of what is chosen for the option of this category, None where there is none."""
    option = find(options, category)
    if option is None:
        return None
    return next((choice.name for choice in option.choices if choice.value == option.value), str(option.value))


def settled(
    options: Sequence[SessionOption], asked: Mapping[str, OptionValue]
) -> tuple[dict[str, OptionValue], str | None]:
    """What was asked for, by option_id, and what is wrong with it: an option that is not offered, or its value."""
    found: dict[str, OptionValue] = {}
    for name, value in asked.items():
        option = find(options, name)
        if option is None:
            return found, f"it offers no option {name}; it offers {offered(options)}"
        if why_not(option, value) is not None:
            return found, f"{option.option_id} cannot be {value!s}; it offers {offered(options)}"
        found[option.option_id] = value
    return found, None


def offered(options: Sequence[SessionOption]) -> str:
    """All options with their choices, in words that follow "it offers"."""
    if not options:
        return "no options at all"
    return "; ".join(f"{option.option_id}: {_values(option)}" for option in options)


def _values(option: SessionOption) -> str:
    return "true, false" if option.type is OptionType.BOOLEAN else _listed(each.value for each in option.choices)


def _listed(values: Iterable[str]) -> str:
    named = list(values)
    more = len(named) - MOST_NAMED
    return ", ".join(named[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
