"""The filter: what its terms mean, and that narrowing while typing never changes the result."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tui.contract.filter import Term, entry_of, matches, matching, narrows, parse
from foundry_tui.contract.records import TaskSummary
from foundry_tui.contract.status import TaskStatus
from foundry_tui.view.filter_remark import remark
from tests.app.factories import make_task

WORDS = ["login", "redirect", "docs", "retry", "Überweisung", "日本語", "x", "a:b", "fix/login"]
words = st.sampled_from(WORDS) | st.text(alphabet=string.ascii_letters + "-/:", min_size=1, max_size=8)
fields = st.sampled_from(["", "status:", "repo:", "agent:", "branch:", "id:", "is:"])
terms = st.builds(lambda no, field, word: no + field + word, st.sampled_from(["", "!"]), fields, words)
queries = st.lists(terms, max_size=4).map(" ".join)


@st.composite
def tasks(draw: st.DrawFn) -> TaskSummary:
    return make_task(
        draw(st.integers(0, 99)),
        draw(st.sampled_from(list(TaskStatus))),
        title=draw(st.none() | st.lists(words, min_size=1, max_size=4).map(" ".join)),
        branch=draw(st.none() | words),
        repo_label=draw(st.sampled_from(["shop", "billing-api", "docs"])),
        agent=draw(st.sampled_from(["claude", "codex"])),
        prompt=draw(st.lists(words, min_size=1, max_size=5).map(" ".join)),
        unread=draw(st.booleans()),
    )


def shows(query: str, task: TaskSummary, refused: bool = False) -> bool:
    return matches(parse(query), entry_of(task, refused))


def test_a_word_is_found_in_title_branch_repository_prompt_and_id() -> None:
    task = make_task(7, title="Mend the gate", branch="fix/gate-7", repo_label="shop", prompt="please MEND it quickly")
    for word in ("gate", "fix/ga", "shop", "quickly", "mend", "000000000007"):
        assert shows(word, task), word
    assert not shows("door", task)


def test_all_terms_must_hold_and_negated_ones_must_not() -> None:
    task = make_task(1, TaskStatus.ERROR, title="Mend the gate", repo_label="shop")
    assert shows("mend gate", task)
    assert not shows("mend door", task)
    assert shows("mend !door", task)
    assert not shows("mend !gate", task)
    assert not shows("!status:failed", task)
    assert shows("!repo:docs", task)


def test_status_knows_stages_groups_and_the_contracts_own_names() -> None:
    failed, naming = make_task(1, TaskStatus.ERROR), make_task(2, TaskStatus.ENSURE_NAME)
    assert shows("status:failed", failed) and shows("status:error", failed)
    assert shows("status:name", naming) and shows("status:working", naming) and shows("status:init_ensure", naming)
    assert not shows("status:failed", naming)
    assert shows("status:needs", make_task(3, TaskStatus.RUNNING, needs_input=1))
    assert shows("status:refused", make_task(4, TaskStatus.ERROR), refused=True)


def test_fields_look_only_where_they_say() -> None:
    task = make_task(1, title="shop", branch="docs/x", repo_label="billing", agent="codex", unread=True)
    assert not shows("repo:shop", task) and shows("repo:bill", task)
    assert shows("branch:docs", task) and not shows("branch:shop", task)
    assert shows("agent:codex", task) and not shows("agent:claude", task)
    assert shows("is:unread", task) and not shows("!is:unread", task)


def test_half_a_branch_name_with_a_slip_is_found() -> None:
    task = make_task(1, title="Login redirect", branch="fix/login-redirect", prompt="p")
    assert shows("lgoin", task)
    assert shows("redirct", task)
    assert not shows("payment", task)


def test_first_letters_of_words_are_found() -> None:
    assert shows("ftlr", make_task(1, title="Fix the login redirect", prompt="p"))


def test_quotes_hold_words_together() -> None:
    task = make_task(1, title="Mend the gate", prompt="p")
    assert shows('"the gate"', task)
    assert not shows('"gate the"', task)


def test_unfinished_terms_hide_nothing() -> None:
    for query in ("", "  ", "!", "status:", "!repo:", '"', "!status:"):
        assert parse(query) == (), query


def test_an_unknown_field_is_a_word() -> None:
    assert parse("fix:login") == (Term("", "fix:login"),)
    assert shows("fix:login", make_task(1, title="fix:login page"))


@given(queries, tasks())
def test_terms_hold_one_by_one(query: str, task: TaskSummary) -> None:
    entry = entry_of(task)
    assert matches(parse(query), entry) == all(matches((term,), entry) for term in parse(query))


@given(terms.filter(lambda text: not text.startswith("!")), tasks())
def test_what_holds_as_it_stands_does_not_hold_negated(term: str, task: TaskSummary) -> None:
    if parse(term):
        entry = entry_of(task)
        assert not (matches(parse(term), entry) and matches(parse("!" + term), entry) and term in entry.text)


@given(queries, st.integers(0, 40), tasks())
def test_narrowing_is_true_to_its_word(query: str, cut: int, task: TaskSummary) -> None:
    old, new = parse(query[:cut]), parse(query)
    if narrows(old, new) and matches(new, entry_of(task)):
        assert matches(old, entry_of(task))


@given(st.text(max_size=40), tasks())
def test_any_text_is_a_filter(query: str, task: TaskSummary) -> None:
    matches(parse(query), entry_of(task))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "foo:bar",
            "foo: is no field, and looked for as it stands; fields are status, repo, agent, is, pr, branch, host, id",
        ),
        ("status:bogus", "this version knows no status bogus; there are needs, queued, name"),
        ("status:failed,ready", "this version knows no status failed,ready"),
        ("!status:bogus", "this version knows no status bogus"),
        ("is:read", "is: is made for is:unread"),
        ("login failed", "a word of title, branch, repository or prompt; the state is status:failed"),
        ("!failed name", ""),
        ("login -importer", "to leave tasks out, write !importer"),
        ("not importer", "to leave tasks out, write !importer"),
        ("login status:failed repo:shop !docs", ""),
        ("status: is: !", ""),
        ("status:idle status:needs status:init_ensure_name", ""),
        ("https://example.org", ""),
        ('"feat: add" -', ""),
        ("not", ""),
    ],
)
def test_a_filter_that_does_not_mean_what_it_seems_to_is_remarked_upon(query: str, said: str) -> None:
    assert remark(query).startswith(said)
    assert bool(remark(query)) is bool(said)


@given(queries, st.lists(tasks(), max_size=6))
def test_all_at_once_is_found_what_is_found_one_by_one(query: str, many: list[TaskSummary]) -> None:
    entries = {str(number): entry_of(task) for number, task in enumerate(many)}
    singly = {key for key, entry in entries.items() if matches(parse(query), entry)}
    assert set(matching(parse(query), entries)) == singly
