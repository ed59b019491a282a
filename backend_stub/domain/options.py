"""The options that an agent offers for a session: what it can be set to, and how that is said."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from backend_stub.domain.agent import OptionValue
from foundry_tui.contract.options import find_option, value_of
from foundry_tui.contract.records import OptionType, SessionOption

MOST_NAMED = 30
"""Choices that a sentence lists."""


def why_not(option: SessionOption, value: OptionValue) -> str | None:
    """Why the option cannot have this value, as a sentence that names its choices; None when it can."""
    if option.type is OptionType.BOOLEAN:
        return None if isinstance(value, bool) else f"{option.name} is true or false."
    if value in [choice.value for choice in option.choices]:
        return None
    return f"Choose one of {_listed((choice.value for choice in option.choices), value)} for {option.option_id}."


def with_value(
    options: Sequence[SessionOption], option_id: str, value: OptionValue, error: str | None = None
) -> tuple[SessionOption, ...]:
    """The options with one of them set; `error` says that it could not be set to what was asked for."""
    return tuple(replace(each, value=value, error=error) if each.option_id == option_id else each for each in options)


def chosen(options: Sequence[SessionOption], category: str) -> str | None:
    """The name of what is chosen for the option of this category, None where there is none."""
    option = find_option(options, category)
    if option is None:
        return None
    return next((choice.name for choice in option.choices if choice.value == option.value), str(option.value))


def settled(
    options: Sequence[SessionOption], asked: Mapping[str, OptionValue]
) -> tuple[dict[str, OptionValue], tuple[str, str] | None]:
    """What was asked for, by option_id, and what is wrong with it: the name of an option that is not offered, or whose
    value is not, and that in words.

    A value may be given by its name.
    """
    found: dict[str, OptionValue] = {}
    for name, value in asked.items():
        option = find_option(options, name)
        if option is None:
            return found, (name, f"it offers no option {name}; it offers {offered(options)}")
        meant = value_of(option, value)
        if why_not(option, meant) is not None:
            return found, (name, f"{option.option_id} cannot be {value!s}; it offers {offered(options, value)}")
        found[option.option_id] = meant
    return found, None


def offered(options: Sequence[SessionOption], given: OptionValue = "") -> str:
    """All options with their choices, in words that follow "it offers"; those first that have what was `given` in them.

    Of some hundred models only the first are named.
    """
    if not options:
        return "no options at all"
    return "; ".join(f"{option.option_id}: {_values(option, given)}" for option in options)


def _values(option: SessionOption, given: OptionValue) -> str:
    values = (each.value for each in option.choices)
    return "true, false" if option.type is OptionType.BOOLEAN else _listed(values, given)


def _listed(values: Iterable[str], given: OptionValue) -> str:
    part = str(given).lower()
    named = sorted(values, key=lambda value: part not in value.lower())
    more = len(named) - MOST_NAMED
    return ", ".join(named[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
