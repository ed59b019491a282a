"""Rules about what agents may do without a question: how they are written, and how the backend is told of them.

A rule allows or denies. Its pattern is a command in which `*` stands for anything, further words too; a last word `*`
also for none. What a rule does to a question is decided in `backend_stub/domain/rulings.py`.
"""

import fnmatch
import os
from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from foundry_tui.contract.codec import decode
from foundry_tui.contract.shell_commands import read_shell

VARIABLE = "FOUNDRY_RULES"
"""The variable that tells the backend of the rules that the config has, in their order, in JSON."""
FILE = ".foundry/rules.toml"
"""Where a repository has rules of its own."""
MOST = 500
"""Rules that a config or a repository can have."""
EXECUTE = "execute"
KINDS = ("read", "edit", "delete", "move", "search", "execute", "think", "fetch", "switch_mode", "other")
"""What tool calls are, in ACP's words."""
ANYTHING = "*"

Pattern = Annotated[str, Meta(min_length=1, max_length=1000)]


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One rule; it has either `allow` or `deny`. `kind`: of questions about this kind of tool call alone."""

    allow: Pattern | None = None
    deny: Pattern | None = None
    kind: Literal[KINDS] | None = None  # type: ignore[valid-type]

    def __post_init__(self) -> None:
        if (self.allow is None) is (self.deny is None):
            raise ValueError("a rule has either allow or deny")
        if self.pattern == ANYTHING:
            return
        if self.kind not in (None, EXECUTE):
            raise ValueError(f'of the kind {self.kind} no command is known: write {self.word} = "*"')
        if not is_pattern(self.pattern):
            raise ValueError(
                f"{self.pattern!r} is not one simple command: a rule for each command of a chain, without variables, "
                "redirections and open quotes"
            )

    @property
    def pattern(self) -> str:
        return self.allow or self.deny or ""

    @property
    def word(self) -> str:
        """`allow` or `deny`."""
        return "deny" if self.allow is None else "allow"

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the pattern, without quotes."""
        return read_shell(self.pattern).commands[0]


class ConfiguredRule(Rule, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One of the config. `repository`: of those whose folder, URL or label it is, maybe as a glob; else of all."""

    repository: Annotated[str, Meta(min_length=1)] | None = None

    def is_about(self, label: str, path: str | None, remote: str | None) -> bool:
        """Whether it counts in the repository of this label, at this folder or URL."""
        if self.repository is None:
            return True
        if "/" not in self.repository and not self.repository.startswith("~"):
            return fnmatch.fnmatchcase(label, self.repository)
        wanted = os.path.expanduser(self.repository)  # noqa: PTH111  # a URL stays one
        wanted = wanted.rstrip("/") or "/"
        places = (label, path, remote)
        return any(place is not None and fnmatch.fnmatchcase(place.rstrip("/"), wanted) for place in places)

    @property
    def rule(self) -> Rule:
        return Rule(allow=self.allow, deny=self.deny, kind=self.kind)


class RulesFile(Struct, frozen=True, forbid_unknown_fields=True):
    """What a repository's own file holds."""

    rules: Annotated[tuple[Rule, ...], Meta(max_length=MOST)] = ()


def is_pattern(text: str) -> bool:
    """Whether a text can be the pattern of a rule: a simple command, in whose words a `*` may stand anywhere."""
    return read_shell(text.replace(ANYTHING, "x")).single and bool(read_shell(text).commands)


def configured_rules(environ: Mapping[str, str]) -> tuple[ConfiguredRule, ...]:
    """The rules that the config has, as the backend is told of them; raises `msgspec.DecodeError`."""
    return decode((environ.get(VARIABLE) or "[]").encode(), tuple[ConfiguredRule, ...])
