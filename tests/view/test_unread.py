"""What is read beside the list counts as read after some seconds, and what a person marks as unread does not."""

from foundry_tui.contract.records import TaskSummary
from foundry_tui.view.unread import READ_AFTER, Unread
from tests.app.factories import make_task


def seconds(unread: Unread, task: TaskSummary, count: int, *, in_sight: bool = True) -> list[bool]:
    return [unread.second(task, in_sight=in_sight) for _ in range(count)]


def news(number: int = 1, at: int = 5, *, unread: bool = True) -> TaskSummary:
    return make_task(number, unread=unread, updated_at=at)


def test_it_counts_as_read_after_some_seconds_in_sight() -> None:
    unread = Unread()
    assert seconds(unread, news(), READ_AFTER - 1) == [False] * (READ_AFTER - 1)
    assert seconds(unread, news(), 9, in_sight=False) == [False] * 9
    assert seconds(unread, news(), 1) == [True]


def test_what_the_cursor_only_passes_does_not() -> None:
    unread = Unread()
    for number in (1, 2, 1, 2):
        assert True not in seconds(unread, news(number), READ_AFTER - 1)


def test_what_a_person_marks_stays_marked_until_the_cursor_comes_back() -> None:
    unread = Unread()
    unread.look(news(unread=False))
    assert True not in seconds(unread, news(), 9)
    assert True not in seconds(unread, news(at=6), 9), "also when it goes on working"
    unread.look(news(2))
    assert True in seconds(unread, news(), READ_AFTER)


def test_news_of_what_one_reads_are_read() -> None:
    unread = Unread()
    unread.look(news(unread=False))
    assert True in seconds(unread, news(at=6), READ_AFTER)
