"""Times, keys, freshness and news in words."""

import pytest

from foundry_tui.app.notifications import terminal_notification, toasts
from foundry_tui.client.freshness import Freshness, FreshnessState
from foundry_tui.contract.status import TaskStatus
from foundry_tui.view.ages import age, running_time
from foundry_tui.view.glyphs import ASCII, UNICODE
from foundry_tui.view.keys import key_label
from foundry_tui.view.labels import freshness_glyph, freshness_text
from foundry_tui.view.news import News, NewsFinder, NewsKind, sentence
from tests.app.factories import NOW, make_task, task_id


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(-5, "now"), (0, "now"), (59_999, "now"), (60_000, "1m"), (3_600_000, "1h"), (86_400_000 * 3, "3d")],
)
def test_ages(milliseconds: int, words: str) -> None:
    assert age(milliseconds) == words


def test_old_ages_stay_short() -> None:
    assert age(86_400_000 * 280) == "40w"


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(-1, "0s"), (999, "0s"), (59_000, "59s"), (125_000, "2m05s"), (3_900_000, "1h05m"), (277_200_000, "3d05h")],
)
def test_running_times(milliseconds: int, words: str) -> None:
    assert running_time(milliseconds) == words


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("ctrl+p", "^p"),
        ("question_mark", "?"),
        ("shift+tab", "shift+tab"),
        ("escape", "esc"),
        ("n", "n"),
        ("up", "↑"),
        ("left_curly_bracket", "{"),
        ("space", "space"),
    ],
)
def test_keys(key: str, label: str) -> None:
    assert key_label(key) == label


def test_keys_in_ascii() -> None:
    assert key_label("up", ascii_only=True) == "up"


def test_freshness_in_words() -> None:
    assert freshness_text(Freshness(FreshnessState.LIVE, NOW), NOW) == "live"
    waiting = Freshness(FreshnessState.RECONNECTING, NOW, retry_at=NOW + 2_400)
    assert freshness_text(waiting, NOW) == "reconnecting, 3s"
    assert freshness_text(waiting, NOW + 5_000) == "reconnecting"
    assert freshness_text(Freshness(FreshnessState.STALE, NOW - 12_000), NOW) == "stale 12s"
    assert freshness_text(Freshness(FreshnessState.OFFLINE, NOW), NOW) == "offline"


def test_freshness_has_a_shape_for_each_state() -> None:
    for glyphs in (UNICODE, ASCII):
        assert len({freshness_glyph(Freshness(state, NOW), glyphs) for state in FreshnessState}) == 4


def test_what_was_there_is_no_news() -> None:
    tasks = {task_id(1): make_task(1, TaskStatus.ERROR)}
    desk = NewsFinder()
    assert desk.read(tasks, tasks) == []
    desk.open(tasks.values())
    assert desk.read(tasks, tasks) == []


@pytest.mark.parametrize(
    ("before", "after", "questions", "kind"),
    [
        (TaskStatus.CREATE_SESSION, TaskStatus.IDLE, 0, NewsKind.READY),
        (TaskStatus.RUNNING, TaskStatus.IDLE, 0, NewsKind.READY),
        (TaskStatus.CREATE_SANDBOX, TaskStatus.ERROR, 0, NewsKind.FAILED),
        (TaskStatus.RUNNING, TaskStatus.RUNNING, 1, NewsKind.ASKS),
        (TaskStatus.CREATE_SESSION, TaskStatus.RUNNING, 0, None),
        (TaskStatus.IDLE, TaskStatus.ARCHIVING, 0, None),
    ],
)
def test_what_is_news(before: TaskStatus, after: TaskStatus, questions: int, kind: NewsKind | None) -> None:
    desk = NewsFinder()
    desk.open([make_task(1, before)])
    tasks = {task_id(1): make_task(1, after, needs_input=questions, revision=9)}
    assert [item.kind for item in desk.read([task_id(1)], tasks)] == ([kind] if kind else [])
    assert desk.read([task_id(1)], tasks) == [], "and is told once"


def test_many_news_are_one_toast() -> None:
    news = [News(NewsKind.READY, make_task(number)) for number in range(3)]
    assert len(toasts(news)) == 3
    news += [News(NewsKind.FAILED, make_task(9, TaskStatus.ERROR)), News(NewsKind.ASKS, make_task(8))]
    assert toasts(news) == [("Tasks: 3 are ready, 1 failed, 1 asks you", "error")]


def test_a_failure_is_told_with_its_reason() -> None:
    text = sentence(News(NewsKind.FAILED, make_task(1, TaskStatus.ERROR)))
    assert text == "Fix the login redirect of page 1: sandbox failed: no room left on the machine"


def test_terminal_notifications_fit_the_terminal() -> None:
    assert terminal_notification("Foundry", "x is ready", {}) == "\x1b]9;Foundry: x is ready\x07"
    assert terminal_notification("Foundry", "x", {"TERM_PROGRAM": "ghostty"}) == "\x1b]777;notify;Foundry;x\x07"
    inside = terminal_notification("Foundry", "x", {"TMUX": "1"})
    assert inside == "\x1bPtmux;\x1b\x1b]9;Foundry: x\x07\x1b\\"


def test_a_title_cannot_break_out_of_a_notification() -> None:
    sequence = terminal_notification("a;b", "evil\x07\x1b]0;title\x07", {"VTE_VERSION": "7000"})
    assert sequence.count("\x07") == 1 and sequence.count("\x1b") == 1
    assert sequence.startswith("\x1b]777;notify;a,b;")
