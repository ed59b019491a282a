"""What the demo's agents offer by themselves: simulated ones, so no model is named."""

from foundry_tui.contract.records import OptionChoice, OptionType, SessionOption


def _first_of(category: str, name: str, *choices: OptionChoice) -> SessionOption:
    """An option that is one of these, and the first until it is set; it is called as its category is."""
    return SessionOption(
        option_id=category,
        name=name,
        category=category,
        type=OptionType.SELECT,
        value=choices[0].value,
        choices=choices,
    )


OWN_OPTIONS = (
    _first_of(
        "model",
        "Model",
        OptionChoice(value="large", name="Large", description="thinks longest"),
        OptionChoice(value="small", name="Small", description="answers soonest"),
    ),
    _first_of(
        "mode",
        "Mode",
        OptionChoice(value="default", name="Default", description="asks before it runs or changes something"),
        OptionChoice(value="plan", name="Plan", description="reads and plans, and changes nothing"),
        OptionChoice(value="all", name="Accept all", description="asks nothing"),
    ),
)
