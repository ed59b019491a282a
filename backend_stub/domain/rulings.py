"""What rules and a task's policy make of a question that an agent asks; pure, so that it can be tried on anything.

A rule that denies goes before all that allows. Where it cannot be told whether it denies, a person is asked, whatever
else would allow it. Nothing is ever answered with `allow_always`: rules that are tightened hold for what comes then.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from foundry_tui.contract.questions import PermissionPolicy, Question, QuestionKind
from foundry_tui.contract.rules import ANYTHING, EXECUTE, Rule
from foundry_tui.contract.shell_commands import UNKNOWN, ShellText, read_shell

READING = frozenset({"read", "search", "think"})
"""ACP's kinds of tool calls that change nothing and fetch nothing."""
ALLOW, DENY = "allow_once", "reject_once"
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "fish", "ash", "busybox"})
RUNNERS = frozenset(
    (
        *("env", "sudo", "doas", "su", "command", "exec", "builtin", "eval", "source", ".", "nohup", "nice", "ionice"),
        *("time", "timeout", "stdbuf", "setsid", "xargs", "parallel", "watch", "strace", "script", "ssh", "find", "fd"),
        *("chroot", "unshare", "bwrap", "caffeinate", "flock", "npx"),
    )
)
"""Programs that run what stands among their words."""
ADDING = frozenset({"xargs", "parallel"})
"""Those that add words of their own to what they run."""
KEYWORDS = frozenset(["!", "{", "if", "then", "else", "elif", "do", "while", "until", "time", "coproc", "in"])
"""What may stand before a command and is none."""
MOST, MOST_CHARACTERS = 500, 5_000
"""Commands that are looked at in one text, and how long each of them may be; of more it is not known what they do."""
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[[^]]*\])?\+?=")
_UNSURE = re.compile(r"\{[^{}\0]*\}")
"""What a shell puts several words in place of, and `xargs` and `find` those that they have found."""
_GIT = "git-"
"""Begins the names of the programs that are commands of git, too."""
MOST_NAMED = 8
"""Unknown parts of a command, or its words with the name of a rule's program, that are looked at one by one."""
_PARTED = re.compile(r"[^\w./-]")
"""What a word has that may be a command of several words."""


@dataclass(frozen=True)
class Intent:
    """What an agent means to do if its question is allowed, beside what the question's record says.

    `commands` are the texts that a shell would get, none where they are not known. `inside`: nothing that is named lies
    outside of the sandbox. `as_is`: it is done in the sandbox's folder and with its variables.
    """

    commands: tuple[str, ...] = ()
    inside: bool = True
    as_is: bool = True


NOTHING_KNOWN = Intent()


@dataclass(frozen=True)
class Ruling:
    """The option that a question is answered with, and by what: words that follow "allowed" or "denied"."""

    option_id: str
    answered_by: str


def ruling(question: Question, intent: Intent, rules: Sequence[Rule], policy: PermissionPolicy) -> Ruling | None:
    """How the question is answered without a person; None when one is to be asked."""
    if question.kind is not QuestionKind.PERMISSION:
        return None
    read = tuple(read_shell(command) for command in intent.commands)
    denying = [rule for rule in rules if rule.deny is not None and _is_of_kind(rule, question, intent)]
    found = [_runs(text) for text in read] if denying else []
    for rule in denying:
        if _denies(rule, found):
            return _answer(question, DENY, f"denied by rule `{rule.pattern}`")
    if any(_might_deny(rule, question, intent, found) for rule in denying):
        return None
    for rule in rules:
        if rule.allow is not None and _allows(rule, question, intent, read):
            return _answer(question, ALLOW, f"allowed by rule `{rule.pattern}`")
    if policy == PermissionPolicy.ALL:
        return _answer(question, ALLOW, "allowed by permissions all")
    if policy == PermissionPolicy.READS and _only_reads(question, intent):
        return _answer(question, ALLOW, "allowed by permissions reads")
    return None


def lies_inside(folder: str, places: Iterable[str]) -> bool:
    """Whether these paths, as seen from the folder, lie in it; by how they are written, links not followed."""
    top = posixpath.normpath(folder)
    return all(
        not place.startswith("~")
        and "://" not in place
        and PurePosixPath(posixpath.normpath(posixpath.join(top, place))).is_relative_to(top)
        for place in places
    )


def _answer(question: Question, kind: str, words: str) -> Ruling | None:
    return next((Ruling(each.option_id, words) for each in question.options if each.kind == kind), None)


def _only_reads(question: Question, intent: Intent) -> bool:
    """A command is never counted as reading, whatever its agent calls it."""
    return question.tool_kind in READING and intent.inside and not intent.commands and not question.edits


def _is_of_kind(rule: Rule, question: Question, intent: Intent) -> bool:
    kinds = {question.tool_kind or "other"} | ({EXECUTE} if intent.commands else set())
    return rule.kind is None or rule.kind in kinds


# What allows


def _allows(rule: Rule, question: Question, intent: Intent, read: Sequence[ShellText]) -> bool:
    if not intent.commands:
        # Of a command that is not known nothing can be said, nor of other things by a rule that names no kind.
        return rule.pattern == ANYTHING and rule.kind not in (None, EXECUTE) and rule.kind == question.tool_kind
    if rule.kind not in (None, EXECUTE) or question.edits or not intent.as_is or len(read) != 1 or not read[0].single:
        return False
    return rule.pattern == ANYTHING or _fits(rule.words, read[0].commands[0])


def _fits(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Whether the pattern describes exactly these words.

    The program is never one in a folder that the pattern does not name.
    """
    program, named = words[0], pattern[0]
    if ANYTHING in named and named != program and ("/" in program.replace(named.partition(ANYTHING)[0], "", 1)):
        return False
    return _describes(pattern, words)


def _describes(pattern: Sequence[str], words: Sequence[str]) -> bool:
    """Whether the words are those of the pattern, in which a `*` stands for anything; a last word `*` also for none."""
    text = "\0".join(words)
    *first, last = pattern
    return _matches("\0".join(pattern), text) or (bool(first) and last == ANYTHING and _matches("\0".join(first), text))


def _matches(pattern: str, text: str) -> bool:
    """Whether the text is the pattern with something in place of each `*`; in time that is linear in the text."""
    begin, *middle = pattern.split(ANYTHING)
    if not middle:
        return text == begin
    *middle, end = middle
    if len(text) < len(begin) + len(end) or not (text.startswith(begin) and text.endswith(end)):
        return False
    at, stop = len(begin), len(text) - len(end)
    for part in middle:
        found = text.find(part, at, stop)
        if found < 0:
            return False
        at = found + len(part)
    return True


# What denies


def _denies(rule: Rule, found: Sequence["Runs"]) -> bool:
    if rule.pattern == ANYTHING:
        return True
    pattern = rule.words
    return any(_describes(pattern, words) for runs in found for words in runs.commands)


def _might_deny(rule: Rule, question: Question, intent: Intent, found: Sequence["Runs"]) -> bool:
    """Whether a rule that denies nothing of what was found might mean it all the same; then a person decides.

    So it is where not all commands could be read, where one of them may turn out to be what the rule names, and where
    the rule's words stand in the text of the command or of the question.
    """
    if not all(runs.known for runs in found) or (question.tool_kind == EXECUTE and not intent.commands):
        return True
    if rule.pattern != ANYTHING and any(_might_be(rule.words, words) for runs in found for words in runs.commands):
        return True
    literal = _plain(rule.pattern.partition(ANYTHING)[0])
    told = intent.commands
    if told or question.tool_kind in (None, "other", EXECUTE):
        told = (*told, question.title, question.text or "")
    return bool(literal) and any(_stands_in(literal, _plain(text)) for text in told)


def _might_be(pattern: Sequence[str], words: tuple[str, ...]) -> bool:
    """Whether the pattern describes what the command may turn out to be, or what it may run in its turn."""
    begin = _begin_of(pattern)
    if _might_begin_with(begin, _UNSURE.sub(UNKNOWN, "\0".join(words) + "\0")):
        return True
    program = pattern[0].partition(ANYTHING)[0]
    named = [place for place, word in enumerate(words) if place and program and program in word]
    if len(named) > MOST_NAMED:
        return True
    for place in named:
        inner = read_shell(words[place][words[place].index(program) :]).commands
        for each in (words[place:], *inner):
            name = PurePosixPath(each[0]).name
            if any(_describes(pattern, (name, *rest)) for rest in _without_options(each[1:])):
                return True
    return False


def _begin_of(pattern: Sequence[str]) -> str:
    """What all that the pattern describes begins with, each word that is whole ended by a NUL."""
    *first, last = pattern
    words = first if first and last == ANYTHING else pattern
    return ("\0".join(words) + "\0").partition(ANYTHING)[0]


def _might_begin_with(begin: str, text: str) -> bool:
    """Whether the text, in which some characters stand for what only the shell knows, may begin so."""
    if text.count(UNKNOWN) + text.count("*") > MOST_NAMED:
        return True
    if not any(each in text for each in (UNKNOWN, *"*?[")):
        return False
    places = {0}
    for character in begin:
        places = {after for place in places for after in _after(text, place, character)}
    return bool(places)


def _after(text: str, place: int, character: str) -> Iterator[int]:
    """Where in the text one may be once it has been read from this place to the end of the character."""
    while place < len(text) and (text[place] == UNKNOWN or (text[place] == "*" and character not in "/\0")):
        yield place
        place += 1
    if text[place : place + 1] == character or (text[place : place + 1] == "?" and character not in "/\0"):
        yield place + 1
    if text[place : place + 1] == "[" and character not in "/\0" and (end := text.find("]", place)) > 0:
        yield end + 1


def _plain(text: str) -> str:
    """The text without quotes and the like, so that what is put together of parts is found."""
    return re.sub(r"[^\w./-]+", " ", re.sub(r"['\"\\]", "", text)).strip()


def _stands_in(literal: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(literal)}", text) is not None


@dataclass(frozen=True)
class Runs:
    """Each command of a text in all the ways in which a rule may name it; `known` is false where there may be more."""

    commands: Sequence[tuple[str, ...]]
    known: bool


def _runs(text: ShellText) -> Runs:
    """The commands without what stands before them, by their programs' names alone, without the options that they begin
    with, and what they run in their turn.
    """
    found: set[tuple[str, ...]] = set()
    waiting, seen, known = list(text.commands), set(text.commands), text.readable

    def look_at(commands: Iterable[tuple[str, ...]]) -> None:
        new = set(commands) - seen
        seen.update(new)
        waiting.extend(new)

    while waiting:
        words = _without_prefix(waiting.pop())
        if not words:
            continue
        if len(found) > MOST or sum(map(len, words)) > MOST_CHARACTERS:
            return Runs(tuple(found), known=False)
        program = PurePosixPath(words[0]).name or words[0]
        found.add(words)
        found.update((program, *rest) for rest in _without_options(words[1:]))
        if program.startswith(_GIT):
            look_at([("git", program.removeprefix(_GIT), *words[1:])])
        known = known and not _is_only_known_when_run(program, words)
        if program in SHELLS | RUNNERS:
            added = (UNKNOWN,) if program in ADDING else ()
            look_at((*words[place:], *added) for place in range(1, len(words)))
            for each in (*words[1:], " ".join(words[1:])) if program == "eval" else words[1:]:
                if _PARTED.search(each):
                    inner = read_shell(each)
                    known = known and inner.readable
                    look_at(inner.commands)
    return Runs(tuple(found), known)


def _is_only_known_when_run(program: str, words: Sequence[str]) -> bool:
    """Whether a variable says what is run, or what a shell reads does."""
    arguments = [word for word in words[1:] if not word.startswith("-")]
    if UNKNOWN in words[0] or (program in SHELLS | RUNNERS and any(UNKNOWN in word for word in arguments)):
        return True
    return program in SHELLS and not arguments


def _without_prefix(words: tuple[str, ...]) -> tuple[str, ...]:
    place = 0
    while place < len(words) and (_ASSIGNMENT.match(words[place]) or words[place] in KEYWORDS):
        place += 1
    return words[place:]


def _without_options(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words as they are, and without the options that they begin with, each with a value or without one."""
    places, seen = [0], {0}
    while places:
        place = places.pop()
        yield tuple(words[place:])
        if place < len(words) and words[place].startswith("-"):
            following = {each for each in (place + 1, place + 2) if each <= len(words)} - seen
            seen |= following
            places += following
