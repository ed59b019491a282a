"""Server-sent events as bytes."""

from foundry_tui.cli.follow.sse import parse
from foundry_tui.contract.events import TASKS, EventName


def events(data: bytes) -> list[tuple[EventName, str, bytes]]:
    return [(event.name, event.id, event.data) for event in parse(iter(data.splitlines(keepends=True)), TASKS)]


def test_events_with_their_ids() -> None:
    assert events(b'event: ping\nid: d-4\ndata: {"seq":4}\n\nevent: task\ndata: {}\nid: d-5\n\n') == [
        (EventName.PING, "d-4", b'{"seq":4}'),
        (EventName.TASK, "d-5", b"{}"),
    ]


def test_an_id_holds_until_the_next() -> None:
    assert [id_ for _, id_, _ in events(b"id: d-4\nevent: ping\ndata: 1\n\nevent: ping\ndata: 2\n\n")] == ["d-4", "d-4"]


def test_comments_and_unknown_fields_are_passed_over_and_unknown_events_told() -> None:
    assert events(b": hello\nretry: 3\nevent: news\ndata: x\n\nevent:ping\ndata:1\n\n") == [
        (EventName("news"), "", b"x"),
        (EventName.PING, "", b"1"),
    ]


def test_carriage_returns_belong_to_the_line_end() -> None:
    assert next(parse(iter([b"event: ping\r\n", b"data: 1\r\n", b"\r\n"]), TASKS)).data == b"1"


def test_several_data_lines_are_one_text() -> None:
    assert events(b"event: ping\ndata: a\ndata: b\n\n")[0][2] == b"a\nb"


def test_line_separators_of_unicode_end_no_line() -> None:
    data = '{"text":"a\u2028b\u0085c"}'.encode()
    lines = [b"event: task\n", b"data: " + data + b"\n", b"\n"]
    assert [event.data for event in parse(iter(lines), TASKS)] == [data]


def test_an_event_that_was_cut_is_dropped() -> None:
    assert list(parse(iter([b"event: ping\n", b"data: 1\n"]), TASKS)) == []
    assert list(parse(iter([b"event: ping\n", b"data: {"]), TASKS)) == []
