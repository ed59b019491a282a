"""Which permission requests are answered without asking a person."""

from collections.abc import Sequence

from backend_stub.domain.agent import Policy
from foundry_tui.contract.questions import PermissionOption

READING = frozenset({"read", "search", "think"})
"""ACP's kinds of tool calls that change nothing and fetch nothing."""


def decide(policy: Policy, kind: str, options: Sequence[PermissionOption]) -> str | None:
    """The option to answer with, or None when a person is to be asked.

    Allows once rather than always, so that a policy that is tightened later holds for what comes then.
    """
    if policy is Policy.ASK or (policy is Policy.READS and kind not in READING):
        return None
    for wanted in ("allow_once", "allow_always"):
        for option in options:
            if option.kind == wanted:
                return option.option_id
    return None
