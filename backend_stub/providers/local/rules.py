"""The rules about permission that a repository brings in its `.foundry/rules.toml`, once it is trusted."""

import msgspec

from backend_stub.repository.setup_files import SetupFiles
from foundry_tui.contract.rules import FILE, Rule, RulesFile
from foundry_tui.contract.toml import read_toml


def read_rules(content: SetupFiles) -> tuple[tuple[Rule, ...], str]:
    """The rules of the file, and what a person is to know if they are left out, as they are when one is wrong."""
    text = dict(content.files).get(FILE)
    if text is None:
        return (), ""
    try:
        return msgspec.convert(read_toml(text.decode()), RulesFile).rules, ""
    except (ValueError, msgspec.ValidationError) as error:
        return (), f"The rules of {FILE} are left out: {error}."
