"""Names: titles, kinds and branches from prompts of any script, and git's rules held against git itself."""

import os
import subprocess
import time
import unicodedata
from collections.abc import Collection

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend_stub.domain.names import check_title
from backend_stub.task.naming import BRANCH_LIMIT, TITLE_LIMIT, Kind, branch_from, free_branch, kind_from, title_from
from foundry_tui.contract.branches import check_branch, conflicting_branch, near_branches
from foundry_tui.contract.requests import CHOSEN_TITLE_LIMIT

TASK_ID = "0199a1b2-0000-7abc-8def-0123456789ab"


def git_accepts(name: str) -> bool:
    """Whether the real git takes this for the name of a branch."""
    environment = {**os.environ, "GIT_DIR": os.devnull, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "check-ref-format", "--branch", name], env=environment, capture_output=True, check=False
    )
    # `@{-1}` is answered with the branch before this one: such a name is an expression, not a name.
    return done.returncode == 0 and done.stdout == name.encode() + b"\n"


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("fix the login redirect", "fix the login redirect"),
        ("\n\n  \t\r\n\u2028 Add   dark\tmode  \nand more", "Add dark mode"),
        ("# Add **bold** and `code` #\n\nBody", "Add bold and code"),
        ("> - [ ] 1. Write it down:", "Write it down"),
        ("fix: the redirect", "the redirect"),
        ("feat(auth)!: single sign-on", "single sign-on"),
        ("**Fix:** the redirect", "the redirect"),
        ("Fix：ログインの不具合", "ログインの不具合"),
        ("fix:\n\nthe redirect", "the redirect"),
        ("fix:", "fix"),
        ("note: this is no kind", "note: this is no kind"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("---\n***\nThe first words", "The first words"),
        ("[the page](https://example.org/a) is broken", "the page is broken"),
        ("keep snake_case_name and __init__ and 5 * 3 * 2", "keep snake_case_name and __init__ and 5 * 3 * 2"),
        ("#123 is not a heading", "#123 is not a heading"),
        ("???\n!!!", "???"),
        ("*" * 12, "*" * 12),
        ("ログイン画面のリダイレクトを修正する", "ログイン画面のリダイレクトを修正する"),
        ("أصلح تسجيل الدخول", "أصلح تسجيل الدخول"),
        ("\u200f\u202bأصلح\u202c", "أصلح"),
        ("🚀✨", "🚀✨"),
        ("👩‍💻 works on 🇯🇵", "👩‍💻 works on 🇯🇵"),
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("", "Untitled task"),
        (" \u00a0\u3000\n\t\u200b\ufeff", "Untitled task"),
    ],
)
def test_title_is_the_first_line_that_says_something(prompt: str, title: str) -> None:
    assert title_from(prompt) == title


def test_a_long_title_is_cut_at_a_word() -> None:
    title = title_from("word " * 100)
    assert title == "word " * 13 + "word…"
    assert len(title) <= TITLE_LIMIT
    exact = "x" * TITLE_LIMIT
    assert title_from(exact) == exact
    assert title_from(exact + "x") == "x" * (TITLE_LIMIT - 1) + "…"


@pytest.mark.parametrize("unit", ["👩‍💻", "🇯🇵", "👍🏽", "e\u0301", "के"])
def test_a_cut_goes_through_no_character_that_is_seen_as_one(unit: str) -> None:
    for lead in range(6):
        title = title_from("a" * lead + unit * 100)
        assert title.endswith("…")
        body = title[lead:-1]
        assert body == unit * (len(body) // len(unit))


@given(st.text(max_size=300) | st.text(alphabet="*_~`#>-[]() \n\tfix:é漢🚀", max_size=300))
def test_a_title_is_always_one_shown_line(prompt: str) -> None:
    title = title_from(prompt)
    assert check_title(title) is None
    assert len(title) <= TITLE_LIMIT
    assert title == title.strip()
    assert len(title.splitlines()) == 1


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("prefix the docs", "docs"),
        ("fix the login redirect", "fix"),
        ("Please can you fix the flaky test?", "fix"),
        ("The login page crashes when empty", "fix"),
        ("the build fails on macOS", "fix"),
        ("Can you look into why the build fails?", "fix"),
        ("hot-fix for checkout", "fix"),
        ("add a fixture for the suffix", "feat"),
        ("add dark mode", "feat"),
        ("add a button to fix typos", "feat"),
        ("add a test button", "feat"),
        ("build a login page", "feat"),
        ("login page with dark mode", "feat"),
        ("I want you to refactor the parser", "refactor"),
        ("rename Foo to Bar", "refactor"),
        ("add tests for the parser", "test"),
        ("improve test coverage", "test"),
        ("test the parser", "test"),
        ("update the README", "docs"),
        ("Write documentation for the API", "docs"),
        ("document the API", "docs"),
        ("README.md needs an example", "docs"),
        ("update dependencies", "chore"),
        ("bump httpx to 0.28", "chore"),
        ("remove dead code", "chore"),
        ("explain the parser", "chore"),
        ("make the list faster", "perf"),
        ("speed up start-up", "perf"),
        ("add a CI pipeline", "ci"),
        ("revert the last change", "revert"),
        ("reformat everything", "style"),
        ("docs: fix the typo", "docs"),
        ("feat(scope)!: fix nothing", "feat"),
        ("Bug: it is slow", "fix"),
        ("build: use another backend", "build"),
        ("style(app): spaces", "style"),
        ("ci： キャッシュ", "ci"),
        ("- **fix:** the redirect", "fix"),
        ("About the login\n\nfix the redirect", "fix"),
        ("look at src/fix/docs.py", "chore"),
        ("ログインを", "feat"),
        ("???", "feat"),
        ("", "feat"),
    ],
)
def test_kind_comes_from_whole_words_or_an_explicit_prefix(prompt: str, kind: str) -> None:
    assert kind_from(prompt) == Kind(kind)


@pytest.mark.parametrize(
    ("prompt", "branch"),
    [
        ("fix the login redirect", "fix/fix-the-login-redirect"),
        ("fix: the login redirect", "fix/the-login-redirect"),
        ("Please can you fix it", "fix/fix-it"),
        ("Don't crash on O'Brien’s name", "fix/dont-crash-on-obriens-name"),
        ("Größe ändern", "feat/grosse-andern"),
        ("исправь вход", "feat/isprav-vkhod"),
        ("漢字", "feat/han-zi"),
        ("🚀✨", "feat/rocket-sparkles"),
        ("$(id); rm -rf / --no..lock @{u}.lock", "feat/id-rm-rf-no-lock-u-lock"),
        ("???", "feat/task-456789ab"),
        ("", "feat/task-456789ab"),
        ("\u200f", "feat/task-456789ab"),
        (
            "add a page that lets people choose the colour of everything",
            "feat/add-a-page-that-lets-people-choose-the-colour",
        ),
    ],
)
def test_branch_is_its_kind_and_a_readable_slug(prompt: str, branch: str) -> None:
    assert branch_from(prompt, kind_from(prompt), TASK_ID) == branch


@given(st.text(max_size=200), st.sampled_from(Kind), st.text(max_size=40))
def test_every_prompt_gives_a_branch_that_git_would_take(prompt: str, kind: Kind, task_id: str) -> None:
    branch = branch_from(prompt, kind, task_id)
    assert len(branch) <= BRANCH_LIMIT
    assert branch.startswith(f"{kind}/")
    assert check_branch(branch) is None
    assert branch.isascii()
    assert not branch.endswith("-")


@pytest.mark.parametrize(
    "unit",
    ["a", "\n", "!\n", " ", "*", "**a ", "[a](", "a\u0301", "\u0301", "`a", "- ", "<!--", ">", "漢", "fix:\n", "(("],
)
def test_a_prompt_of_a_megabyte_costs_no_more_than_a_page(unit: str) -> None:
    prompt = unit * (2**20 // len(unit))
    page = time.process_time()
    kind = kind_from(prompt)
    assert check_title(title_from(prompt)) is None
    assert check_branch(branch_from(prompt, kind, TASK_ID)) is None
    # Generous: what it guards against is a time that grows with the square of the length, which takes minutes.
    assert time.process_time() - page < 5


def free(wanted: str, taken: Collection[str]) -> str:
    """What `free_branch` finds in a repository that has these."""
    return asked(wanted, taken)[0]


def asked(wanted: str, taken: Collection[str]) -> tuple[str, int]:
    """The same, and how often it had to ask."""
    search, times = free_branch(wanted), 1
    names = next(search)
    while True:
        try:
            names = search.send(near_branches(names, taken))
        except StopIteration as found:
            return str(found.value), times
        times += 1


def test_the_first_free_branch_is_numbered_from_two() -> None:
    assert free("fix/a", set()) == "fix/a"
    assert free("fix/a", {"fix/a"}) == "fix/a-2"
    assert free("fix/a", {"fix/a", "fix/a-2", "fix/a-4"}) == "fix/a-3"
    assert free("fix/a", ["fix/b", "other"]) == "fix/a"


def test_a_branch_that_is_a_folder_of_another_is_not_free() -> None:
    assert free("fix/a", {"fix/a/b"}) == "fix/a-2"
    assert free("fix/a", {"fix"}) == "fix-a"
    assert free("fix/a", {"fix", "fix-a"}) == "fix-a-2"
    assert free("fix/a/b", {"fix/a"}) == "fix/a-b"
    assert free("fix", {"fix/a"}) == "fix-2"


def test_case_and_composition_make_no_other_branch() -> None:
    assert free("fix/a", {"Fix/A"}) == "fix/a-2"
    assert free("fix/a", {"FIX"}) == "fix-a"
    composed, decomposed = "é", unicodedata.normalize("NFD", "é")
    assert free(composed, {decomposed}) == f"{composed}-2"
    assert conflicting_branch(composed, [decomposed]) == decomposed
    assert conflicting_branch("fix/a", ["x", "FIX"]) == "FIX"
    assert conflicting_branch("fix", ["fix/a"]) == "fix/a"
    assert conflicting_branch("fix/a", ["fix/ab", "fix/a-2", "fi"]) is None


_names = st.text(alphabet="abAB-/é", min_size=1, max_size=60).filter(lambda name: check_branch(name) is None)


@given(_names, st.sets(_names, max_size=20))
def test_a_free_branch_conflicts_with_nothing_and_stays_short(wanted: str, taken: set[str]) -> None:
    found = free(wanted, taken)
    assert conflicting_branch(found, taken) is None
    assert check_branch(found) is None
    assert found == wanted or len(found) <= BRANCH_LIMIT
    assert (found == wanted) == (conflicting_branch(wanted, taken) is None)


def test_hundreds_of_takers_of_one_long_name_all_get_one_of_their_own() -> None:
    wanted = branch_from("a very long wish that goes on and on without end", Kind.FEAT, TASK_ID)
    taken: set[str] = set()
    for _ in range(300):
        found = free(wanted, taken)
        assert found not in taken
        assert len(found) <= BRANCH_LIMIT
        taken.add(found)


def test_the_next_number_of_a_hundred_thousand_is_found_by_asking_a_few_times() -> None:
    taken = {"fix/a", *(f"fix/a-{number}" for number in range(2, 100_001))}
    search = free_branch("fix/a")
    names, times = next(search), 1
    with pytest.raises(StopIteration) as found:
        while True:
            names = search.send([name for name in names if name in taken])
            times += 1
    assert found.value.value == "fix/a-100001"
    assert times <= 8


WRONG = [
    "", "-x", "--branch", "HEAD", "@{-1}", "@{u}", "a@{b", "a..b", "bad..name $(id)", ".a", "a/.b", "a.", "a/", "/a",
    "a//b", "a.lock", "a.lock/b", "a b", "a\tb", "a\nb", "a\x00b", "a\x7f", "a~b", "a^", "a:b", "a?b", "a*b", "a[b",
    "a\\b", "/", "..",
]  # fmt: skip
LEGAL = [
    "$(id)",
    "main",
    "feat/a",
    "a./b",
    "a.LOCK",
    "refs/heads/HEAD",
    "x/-y",
    "é",
    "漢字",
    "🚀",
    "{",
    "a@",
    ";rm",
    "a'b",
]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_branch_name_is_refused_in_words(name: str) -> None:
    message = check_branch(name)
    assert message is not None
    assert message[0].isupper()
    assert "\x00" in name or not git_accepts(name)


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_branch_name_is_taken_literally(name: str) -> None:
    assert check_branch(name) is None
    assert git_accepts(name)


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
    | st.text("abHEAD@{}-1./.lock~^:?*[\\ $()\x7f\x1fé", max_size=12)
    | st.lists(st.sampled_from(["a", "/", ".", "..", ".lock", "@", "{", "-", "HEAD", "é", " "]), max_size=7).map(
        "".join
    )
)
@example("@")
@example("@/a")
@example("a/@")
@example("refs/heads/-x")
def test_branch_names_are_judged_as_git_judges_them(name: str) -> None:
    assert (check_branch(name) is None) == git_accepts(name)


def test_what_no_file_system_can_hold_is_refused() -> None:
    assert check_branch("a" * 250) is None
    assert check_branch("a" * 251) is not None
    assert check_branch("漢" * 84) is not None
    assert check_branch("/".join(["abc"] * 300)) is not None
    assert check_branch("\ud800") is not None


@pytest.mark.parametrize(
    "title",
    [
        "a",
        "Fix the login",
        "ログイン",
        "👩‍💻",
        "a\u2028b",
        "x" * CHOSEN_TITLE_LIMIT,
        "$(id)",
        "שלום\u200f \u202eabc",
    ],
)
def test_a_title_is_kept_as_it_came(title: str) -> None:
    assert check_title(title) is None


@pytest.mark.parametrize("title", ["", "  ", "\u200b\ufeff", "\t\r\n", "x" * 201, "\ud800"])
def test_a_wrong_title_is_refused_in_words(title: str) -> None:
    message = check_title(title)
    assert message is not None
    assert message[0].isupper()


@pytest.mark.parametrize("control", ["\n", "\t", "\x00", "\x1b[31m", "\x7f", "\x85", "\x9b2J"])
def test_a_title_with_a_control_character_is_refused(control: str) -> None:
    assert f"U+{ord(control[0]):04X}" in (check_title(f"a{control}b") or "")
