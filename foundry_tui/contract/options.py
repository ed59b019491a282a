"""Which option of a session, and which of its values, is meant by a word that a person gave."""

from collections.abc import Sequence

from foundry_tui.contract.records import OptionChoice, OptionType, SessionOption

OptionValue = str | bool

SWITCH = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
"""The words for the values of an option that is true or false."""


def find_option(options: Sequence[SessionOption], name: str) -> SessionOption | None:
    """The option of this option_id, else the first of this category."""
    by_id = (option for option in options if option.option_id == name)
    by_category = (option for option in options if option.category == name)
    return next(by_id, None) or next(by_category, None)


def value_of(option: SessionOption, given: OptionValue) -> OptionValue:
    """The choice of this value, else of this name, whatever its case; true or false by `SWITCH`.

    What is none of them is given back as it is.
    """
    if option.type is OptionType.BOOLEAN:
        return SWITCH.get(given.lower(), given) if isinstance(given, str) else given
    if isinstance(given, bool) or given in [choice.value for choice in option.choices]:
        return given
    named = (choice.value for choice in option.choices if choice.name.lower() == given.lower())
    return next(named, given)


def value_name(option: SessionOption, value: OptionValue) -> str:
    """What a value is called: its choice's name, `on` or `off`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return next((choice.name for choice in option.choices if choice.value == value), value)


def choices_of(option: SessionOption) -> list[tuple[OptionValue, OptionChoice]]:
    """What an option can be set to, and how that is called."""
    if option.type is not OptionType.BOOLEAN:
        return [(choice.value, choice) for choice in option.choices]
    values = (True, False)
    return [(value, OptionChoice(value=value_word(value), name=value_name(option, value))) for value in values]


def value_word(value: OptionValue) -> str:
    """A value as one writes it, `true` or `false` for those of a switch."""
    return str(value).lower() if isinstance(value, bool) else value
