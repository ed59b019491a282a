"""What the demo's agents offer by themselves: simulated ones, so no model is named."""

from foundry_tui.contract.records import OptionChoice, OptionType, SessionOption

OWN_OPTIONS = (
    SessionOption(
        option_id="model",
        name="Model",
        category="model",
        type=OptionType.SELECT,
        value="large",
        choices=(
            OptionChoice(value="large", name="Large", description="thinks longest"),
            OptionChoice(value="small", name="Small", description="answers soonest"),
        ),
    ),
    SessionOption(
        option_id="mode",
        name="Mode",
        category="mode",
        type=OptionType.SELECT,
        value="default",
        choices=(
            OptionChoice(value="default", name="Default", description="asks before it runs or changes something"),
            OptionChoice(value="plan", name="Plan", description="reads and plans, and changes nothing"),
            OptionChoice(value="all", name="Accept all", description="asks nothing"),
        ),
    ),
)
