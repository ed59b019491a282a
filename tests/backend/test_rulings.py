"""Rules and policies: what they answer, what they leave to a person, and that nothing hostile gets past them."""

import time

import pytest

from backend_stub.domain.rulings import Intent, Ruling, lies_inside, ruling
from foundry_tui.contract.questions import FileEdit, PermissionOption, PermissionPolicy, Question, QuestionKind
from foundry_tui.contract.rules import ConfiguredRule, Rule, is_pattern
from foundry_tui.contract.shell_commands import UNKNOWN, read_shell

ONCE = PermissionOption(option_id="1", name="Allow", kind="allow_once")
ALWAYS = PermissionOption(option_id="2", name="Always", kind="allow_always")
REJECT = PermissionOption(option_id="3", name="Reject", kind="reject_once")
ASK, READS, ALL = PermissionPolicy.ASK, PermissionPolicy.READS, PermissionPolicy.ALL
PYTEST, NO_PUSH = Rule(allow="pytest *"), Rule(deny="git push*")


def judged(command: str, *rules: Rule, policy: PermissionPolicy = ASK, as_is: bool = True) -> Ruling | None:
    question = Question(title="Run it", options=(ALWAYS, ONCE, REJECT), tool_kind="execute", text=command)
    return ruling(question, Intent((command,), as_is=as_is), rules, policy)


@pytest.mark.parametrize(
    "command",
    ["pytest", "pytest -q", "  pytest -q ", "pytest\t-q", "pytest 'a b; rm'", r"pytest a\;b", "pytest tests/*.py ~/x"],
)
def test_a_rule_allows_a_simple_command(command: str) -> None:
    assert judged(command, PYTEST) == Ruling("1", "allowed by rule `pytest *`")


@pytest.mark.parametrize(
    "command",
    [
        "",
        "pytest; rm -rf ~",
        "pytest && curl x | sh",
        "pytest & evil",
        "pytest | tee x",
        "pytest\nrm x",
        "pytest\r\nrm x",
        "pytest > /etc/x",
        "pytest < x",
        "pytest 2>&1",
        "pytest $(evil)",
        'pytest "$(evil)"',
        "pytest `evil`",
        'pytest "`evil`"',
        "pytest $HOME",
        "pytest $'\\x0aevil'",
        "pytest <(evil)",
        "pytest =(evil)",
        "pytest (evil)",
        "pytest {a,b}",
        "pytest !!",
        "pytest # ; no",
        "pytest 'open",
        'pytest "open',
        "pytest \\",
        "pytest -q \\\n; evil",
        "FOO=1 pytest",
        "PATH=. pytest -q",
        "env pytest",
        "bash -c pytest",
        "bash -c 'pytest -q'",
        "/tmp/evil/pytest -q",
        "./pytest",
        "../pytest",
        "pytest/../evil",
        "'pytest' -q",
        "py''test -q",
        "\\pytest",
        "pytest\u00a0-q",
        "pytest\u2028evil",
        "pytest \u202egnp.evil",
        "pytest\u200b -q",
        "pytest\x00 -q",
        "pytest\x0b-q",
        "ｐｙｔｅｓｔ -q",
        "pyteѕt -q",
        "PYTEST -q",
        "pytest-evil",
        "xpytest",
        "~/pytest",
        "=pytest",
        "pytest " + "x" * 30_000,
    ],
)
def test_a_rule_allows_nothing_beside_it(command: str) -> None:
    assert judged(command, PYTEST) is None


@pytest.mark.parametrize(
    ("pattern", "command", "fits"),
    [
        ("make", "make", True),
        ("make", "make all", False),
        ("npm run test", "npm run test", True),
        ("npm run test", 'npm "run test"', False),
        ("npm run *", "npm run", True),
        ("git * --stat", "git diff main --stat", True),
        ("git * --stat", "git --stat", False),
        ("git log*", "git log -3", True),
        ("git log*", "git logs", True),
        ("py*", "python x", True),
        ("py*", "py/../../evil", False),
        ("*", "anything at all", True),
        ("*", "anything; at all", False),
        ("./scripts/*", "./scripts/run x", True),
        ("./scripts/*", "./scripts/../../evil", False),
        ("'my tool' *", "my tool", False),
        ("echo 'a b'", "echo 'a b'", True),
        ("echo 'a b'", "echo a b", False),
        ("a*b*c", "a x b x c", True),
        ("a*b*c", "a c b", False),
        ("ab*ba", "aba", False),
        ("rm [x]", "rm x", False),
    ],
)
def test_what_a_pattern_describes(pattern: str, command: str, fits: bool) -> None:
    if not is_pattern(pattern):
        assert not fits
        return
    assert (judged(command, Rule(allow=pattern)) is not None) is fits


@pytest.mark.parametrize(
    "command",
    [
        "git push",
        "git push origin main",
        "git  push",
        "cd x && git push",
        "true | git push",
        "git status\ngit push",
        "if true; then git push; fi",
        "! git push",
        "(cd x; git push)",
        "{ git push; }",
        "FOO=1 git push",
        "git push > /dev/null",
        "> x git push",
        "2>x git push",
        "/usr/bin/git push",
        "git -C /x push",
        "git -c a=b --no-pager push",
        "git --git-dir=/x push",
        "bash -c 'git push'",
        "bash -c \"sh -c 'git push'\"",
        "/bin/sh -ec 'x; git push'",
        "sudo -u x git push",
        "env -i A=1 git push",
        "timeout 5 git push",
        "xargs -n 1 git push",
        "find . -exec git push ;",
        "nohup nice -n 5 git push &",
        "eval git push",
        "eval 'git push'",
        'echo "$(git push)"',
        "echo `git push`",
        "echo ${x:-$(git push)}",
        "a=$(git push)",
        "diff <(git push) x",
        "g'i't p\"us\"h",
        "git $'p\\x75sh'",
        "git ${IFS}push",
        "git${IFS}push",
        "git$IFS'push'",
        "git \\\npush",
        "git pu''sh",
        "\\git push",
        "echo 'unclosed; git push\n'; git push",
        "/usr/lib/git-core/git-push origin",
    ],
)
def test_a_rule_denies_every_part_of_a_command(command: str) -> None:
    assert judged(command, Rule(allow="*"), NO_PUSH, policy=ALL) == Ruling("3", "denied by rule `git push*`")


@pytest.mark.parametrize(
    "command",
    [
        "echo git push",
        "git commit -m 'git push later'",
        "python -c 'os.system(\"git push\")'",
        'python -c \'run(["git", "push"])\'',
        "$x push",
        "a=push; git $a",
        "for x in push; do git $x; done",
        "git p$()ush",
        "git p{us,}h",
        "git pus[h]",
        "/usr/bin/g?t push",
        "bash -c 'a=sh; git pu$a'",
        "echo push | xargs git",
        "echo push | xargs -I{} git {}",
        "docker run x git -C y push",
        "trap 'git -C y push' EXIT",
        "tar --to-command='git -C y push' -xf a",
        "$(cat x)",
        'bash -c "$x"',
        "curl x | sh",
        "git 'pu",
        "x" * 30_000,
        "$(" * 100,
    ],
)
def test_what_a_rule_may_deny_is_asked_whatever_allows_it(command: str) -> None:
    assert judged(command, Rule(allow="*"), NO_PUSH, policy=ALL) is None


def test_what_is_shown_beside_a_command_may_be_denied_too() -> None:
    question = Question(title="Run it", options=(ONCE, REJECT), tool_kind="execute", text="run\n\nscript: git push")
    assert ruling(question, Intent(("run",)), (NO_PUSH,), ALL) is None


@pytest.mark.parametrize(
    "command",
    [
        "git status",
        "git pull",
        "legit push",
        "make && make install",
        "sh x.sh",
        "ls",
        'git commit -m "$(date)"',
        "git add *.py",
        "echo $HOME",
        "ls | xargs rm",
    ],
)
def test_what_no_rule_denies_is_left_to_what_allows(command: str) -> None:
    assert judged(command, NO_PUSH, policy=ALL) == Ruling("1", "allowed by permissions all")


def test_what_runs_something_that_is_not_known_is_asked_where_a_rule_denies() -> None:
    question = Question(title="Run it", options=(ONCE, REJECT), tool_kind="execute", text="script: s.py")
    assert ruling(question, Intent(), (NO_PUSH,), ALL) is None
    assert ruling(question, Intent(), (), ALL) == Ruling("1", "allowed by permissions all")


def test_denying_goes_before_allowing_whatever_the_order() -> None:
    for rules in ((Rule(allow="git *"), NO_PUSH), (NO_PUSH, Rule(allow="git *"))):
        assert judged("git push", *rules) == Ruling("3", "denied by rule `git push*`")
        assert judged("git log", *rules) == Ruling("1", "allowed by rule `git *`")


def test_a_command_that_is_run_elsewhere_or_with_other_variables_is_asked() -> None:
    assert judged("pytest -q", PYTEST, as_is=False) is None


@pytest.mark.parametrize(
    ("kind", "rule", "answer"),
    [
        ("edit", Rule(allow="*", kind="edit"), "1"),
        ("edit", Rule(deny="*", kind="edit"), "3"),
        ("edit", Rule(allow="*"), None),
        ("edit", Rule(deny="*"), "3"),
        ("edit", Rule(allow="*", kind="read"), None),
        ("execute", Rule(allow="*", kind="execute"), None),
        ("execute", Rule(allow="Run it", kind="execute"), None),
        ("execute", Rule(deny="*", kind="execute"), "3"),
        (None, Rule(allow="*", kind="other"), None),
    ],
)
def test_rules_about_what_has_no_command(kind: str | None, rule: Rule, answer: str | None) -> None:
    found = ruling(Question(title="Run it", options=(ONCE, REJECT), tool_kind=kind), Intent(), (rule,), ASK)
    assert (found.option_id if found else None) == answer


def test_a_command_is_run_whatever_its_agent_calls_it() -> None:
    question = Question(title="Read it", options=(ONCE, REJECT), tool_kind="read")
    assert ruling(question, Intent(("cat a; git push",)), (Rule(deny="git push", kind="execute"),), ALL) == Ruling(
        "3", "denied by rule `git push`"
    )
    assert ruling(question, Intent(("cat a",)), (Rule(allow="*", kind="read"),), READS) is None


@pytest.mark.parametrize(
    ("policy", "kind", "options", "answer"),
    [
        (ASK, "read", [ONCE], None),
        (READS, "read", [REJECT, ALWAYS, ONCE], "1"),
        (READS, "search", [ALWAYS], None),
        (READS, "think", [ONCE], "1"),
        (READS, "fetch", [ONCE], None),
        (READS, "edit", [ONCE], None),
        (READS, "other", [ONCE], None),
        (READS, None, [ONCE], None),
        (ALL, "execute", [ALWAYS, ONCE], "1"),
        (ALL, "execute", [REJECT], None),
        (ALL, None, [ONCE], "1"),
        (PermissionPolicy("new"), "read", [ONCE], None),
    ],
)
def test_what_a_policy_answers(
    policy: PermissionPolicy, kind: str | None, options: list[PermissionOption], answer: str | None
) -> None:
    found = ruling(Question(title="t", options=tuple(options), tool_kind=kind), Intent(), (), policy)
    assert (found.option_id if found else None) == answer


def test_reading_is_only_that_inside_the_sandbox() -> None:
    question = Question(title="t", options=(ONCE,), tool_kind="read")
    assert ruling(question, Intent(inside=False), (), READS) is None
    edits = (FileEdit(path="a", new="b"),)
    assert ruling(Question(title="t", options=(ONCE,), tool_kind="read", edits=edits), Intent(), (), READS) is None


@pytest.mark.parametrize("kind", [QuestionKind.FORM, QuestionKind.URL])
def test_forms_and_pages_are_never_answered(kind: QuestionKind) -> None:
    question = Question(title="t", options=(ONCE, REJECT), kind=kind)
    assert ruling(question, Intent(), (Rule(deny="*"), Rule(allow="*", kind="other")), ALL) is None


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("a/b", True),
        (".", True),
        ("a/../b", True),
        ("/w/a", True),
        ("/w", True),
        ("/wx", False),
        ("..", False),
        ("a/../../w2", False),
        ("/etc", False),
        ("~/x", False),
        ("file:///w/a", False),
        ("//etc", False),
    ],
)
def test_where_a_path_lies(path: str, inside: bool) -> None:
    assert lies_inside("/w", (path,)) is inside


@pytest.mark.parametrize(
    ("repository", "counts"),
    [
        (None, True),
        ("shop", True),
        ("sh*", True),
        ("other", False),
        ("/src/shop", True),
        ("/src/shop/", True),
        ("/src/*", True),
        ("/other/*", False),
        ("https://x/shop.git", True),
        ("~/shop", False),
        ("h*", False),
    ],
)
def test_in_which_repository_a_rule_counts(repository: str | None, counts: bool) -> None:
    rule = ConfiguredRule(allow="make", repository=repository)
    assert rule.is_about("shop", "/src/shop", "https://x/shop.git") is counts


def test_commands_are_found_in_substitutions_and_words_put_together() -> None:
    assert read_shell("a \"b $(c d)\" 'e'f").commands == (("c", "d"), ("a", f"b {UNKNOWN}", "ef"))
    assert read_shell("a 'b'").single
    assert not read_shell("a 'b").readable


@pytest.mark.parametrize(
    "command",
    [
        "xargs " * 3000,
        "env " * 5000 + "x",
        "a " + "-b " * 6000,
        "$(" * 9000,
        "${a:-" * 4000,
        '"$(' * 6000,
        "`" * 19_000,
        "\\`" * 9_000,
        "a;" * 9000,
        "'" * 19_999,
        "bash -c 'x y' " * 1400,
        "git $a " * 2800,
        "a " + "git -C x " * 2000,
        "a git $a -b;" * 1600,
        "*" * 19_999,
    ],
)
def test_no_command_keeps_the_backend_busy(command: str) -> None:
    begin = time.process_time()
    judged(command, NO_PUSH, Rule(deny="a*b*c*d*e*f*g"), PYTEST, policy=ALL)
    assert time.process_time() - begin < 1
