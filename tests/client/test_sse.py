"""Server-sent events as bytes, and what has gone wrong elsewhere in reading them."""

import random

import pytest

from foundry_tui.client import sse
from foundry_tui.client.errors import StrangeAnswerError
from foundry_tui.client.sse import EventReader


def events(*pieces: bytes) -> list[tuple[str, str, bytes]]:
    reader = EventReader()
    return [(event.name, event.id, event.data) for piece in pieces for event in reader.feed(piece)]


def test_events_with_their_ids() -> None:
    assert events(b'event: ping\nid: d-4\ndata: {"seq":4}\n\nevent: task\ndata: {}\nid: d-5\n\n') == [
        ("ping", "d-4", b'{"seq":4}'),
        ("task", "d-5", b"{}"),
    ]


def test_an_id_holds_until_the_next_and_one_with_a_nul_is_none() -> None:
    found = events(b"id: d-4\nevent: ping\ndata: 1\n\nevent: ping\ndata: 2\n\nid: d\0-5\ndata: 3\n\n")
    assert [id_ for _, id_, _ in found] == ["d-4", "d-4", "d-4"]


def test_comments_and_unknown_fields_are_passed_over_and_unknown_events_told() -> None:
    assert events(b": hello\nretry: 3\nevent: news\ndata: x\n\nevent:ping\ndata:1\n\n") == [
        ("news", "", b"x"),
        ("ping", "", b"1"),
    ]


def test_an_event_without_data_is_none_and_its_name_is_forgotten() -> None:
    assert events(b"event: ping\n\ndata: 1\n\ndata\n\n") == [("", "", b"1"), ("", "", b"")]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_each_kind_of_line_end_ends_a_line_once(end: bytes) -> None:
    text = b"event: ping\ndata: a\ndata: b\n\nevent: ping\ndata: c\n\n".replace(b"\n", end)
    assert events(text) == [("ping", "", b"a\nb"), ("ping", "", b"c")]
    assert events(*(text[at : at + 1] for at in range(len(text)))) == [("ping", "", b"a\nb"), ("ping", "", b"c")]


def test_line_separators_of_unicode_end_no_line() -> None:
    data = '{"text":"a\u2028b\u0085c\u000bd"}'.encode()
    assert events(b"event: task\ndata: " + data + b"\n\n") == [("task", "", data)]


def test_a_byte_order_mark_at_the_beginning_is_passed_over() -> None:
    text = b"\xef\xbb\xbfevent: ping\ndata: \xef\xbb\xbf\n\n"
    assert events(text) == events(text[:2], text[2:]) == [("ping", "", b"\xef\xbb\xbf")]


def test_an_event_that_was_cut_is_dropped() -> None:
    assert events(b"event: ping\ndata: 1\n") == []
    assert events(b"event: ping\ndata: {") == []


def test_it_makes_no_difference_where_the_pieces_are_cut() -> None:
    crlf = "event: task\r\nid: d-1\r\ndata: \u2028ü\r\n\r\n".encode()
    text = crlf + b": ping\n\nevent: log\ndata: x\rdata: y\r\r"
    whole = events(text)
    assert len(whole) == 2
    for seed in range(200):
        cuts = sorted(random.Random(seed).sample(range(len(text) + 1), 8))
        assert events(*(text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))) == whole


def test_an_event_without_an_end_is_given_up_and_small_ones_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LARGEST_ANSWER", 1000)
    assert len(events(*[b"event: ping\ndata: ", b"x" * 900, b"\n\n"] * 50)) == 50
    for piece in (b"x" * 100, b"data: " + b"x" * 100 + b"\n"):
        with pytest.raises(StrangeAnswerError):
            events(*[piece] * 20)
