"""From session/update messages to transcript items."""

import msgspec
import pytest
from msgspec import Raw

from backend_stub.agents.sandbox_agent.messages import Message
from backend_stub.agents.sandbox_agent.questions import note_call, question_of
from backend_stub.agents.sandbox_agent.updates import (
    KEPT_TITLES,
    KEPT_WHOLE,
    PLAN_LIMIT,
    TEXT_LIMIT,
    TITLE_LIMIT,
    Item,
    Translation,
    Update,
)
from foundry_tui.contract.transcript import PlanBody, ToolCallBody, TranscriptKind


def apply(translation: Translation, *updates: dict[str, object]) -> list[Item]:
    """The items as they stand after the updates, in the order in which they came up."""
    items: dict[str, Item] = {}
    for update in updates:
        item = translation.apply(msgspec.json.decode(msgspec.json.encode(update), type=Update))
        if item is not None:
            items[item.key] = item
    return list(items.values())


def chunk(text: str, kind: str = "agent_message_chunk", **block: object) -> dict[str, object]:
    return {"sessionUpdate": kind, "content": {"type": "text", "text": text, **block}}


def test_chunks_of_one_kind_grow_one_item() -> None:
    items = apply(
        Translation(prompt_id="p"),
        chunk("a"),
        chunk("b\u2028c"),
        chunk("thinking", "agent_thought_chunk"),
        chunk("d"),
    )
    assert [(item.kind, item.body) for item in items] == [
        (TranscriptKind.MESSAGE, "ab\u2028c"),
        (TranscriptKind.THOUGHT, "thinking"),
        (TranscriptKind.MESSAGE, "d"),
    ]


def test_a_warning_of_the_agents_program_is_no_part_of_its_answer() -> None:
    warning = "Model metadata for `mine` not found. Defaulting to fallback metadata; this can degrade performance."
    items = apply(
        Translation(prompt_id="p"), chunk(warning), chunk("It "), chunk("is done."), chunk(f"I saw: {warning}")
    )
    assert {item.key: (item.kind, item.body) for item in items} == {
        "p:notice-1": (TranscriptKind.NOTICE, warning),
        "p:message-2": (TranscriptKind.MESSAGE, f"It is done.I saw: {warning}"),
    }


def test_a_tool_call_that_only_a_question_has_told_of_is_called_as_there() -> None:
    call = {"toolCallId": "t", "title": "Writing to a.py", "kind": "edit"}
    params = {"toolCall": call, "options": [{"optionId": "y", "name": "Yes", "kind": "allow_once"}]}
    message = Message(id=1, method="session/request_permission", params=Raw(msgspec.json.encode(params)))
    translation = Translation(prompt_id="p")
    note_call(message, question_of(message, translation), translation)
    again = msgspec.json.decode(msgspec.json.encode(translation), type=Translation)
    [item] = apply(again, {"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "failed"})
    assert isinstance(item.body, dict)
    assert [item.body[name] for name in ("title", "kind", "status")] == ["Writing to a.py", "edit", "failed"]


def test_the_same_stream_gives_the_same_items_from_any_checkpoint() -> None:
    updates: list[dict[str, object]] = [
        chunk("a"),
        chunk("b"),
        {"sessionUpdate": "tool_call", "toolCallId": "t", "title": "make", "kind": "execute"},
        chunk("c"),
        {"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "completed"},
        chunk("d"),
    ]
    whole = {item.key: item for item in apply(Translation(prompt_id="p"), *updates)}
    for cut in range(len(updates)):
        first = Translation(prompt_id="p")
        told = {item.key: item for item in apply(first, *updates[:cut])}
        again = msgspec.json.decode(msgspec.json.encode(first), type=Translation)
        told |= {item.key: item for item in apply(again, *updates[cut:])}
        assert told == whole


def test_a_tool_call_is_updated_in_place() -> None:
    [item] = apply(
        Translation(prompt_id="p", cwd="/sandbox/tree"),
        {"sessionUpdate": "tool_call", "toolCallId": "t", "title": "Edit", "kind": "edit", "status": "pending"},
        {
            "sessionUpdate": "tool_call_update",
            "toolCallId": "t",
            "status": "completed",
            "title": None,
            "content": [
                {"type": "content", "content": {"type": "text", "text": "done"}},
                {"type": "diff", "path": "/sandbox/tree/src/a.py", "oldText": "x", "newText": "y"},
                {"type": "diff", "path": "/elsewhere/b.py", "newText": "z"},
                {"type": "terminal", "terminalId": "1"},
            ],
        },
    )
    body = msgspec.convert(item.body, ToolCallBody)
    assert (body.title, body.kind, body.status, body.content) == ("Edit", "edit", "completed", "done")
    assert [(edit.path, edit.old, edit.new) for edit in body.edits] == [
        ("src/a.py", "x", "y"),
        ("/elsewhere/b.py", None, "z"),
    ]


def test_an_update_of_an_unseen_tool_call_makes_it() -> None:
    [item] = apply(
        Translation(prompt_id="p"),
        {"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "failed", "content": None},
    )
    assert msgspec.convert(item.body, ToolCallBody).status == "failed"


@pytest.mark.parametrize(
    "update",
    [
        {"sessionUpdate": "available_commands_update", "availableCommands": []},
        {"sessionUpdate": "user_message_chunk", "content": {"type": "text", "text": "mine"}},
        {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": ""}},
        {"sessionUpdate": "agent_message_chunk"},
        {"sessionUpdate": "something_new", "content": [1, 2]},
    ],
)
def test_what_is_not_for_the_transcript_is_left_out(update: dict[str, object]) -> None:
    assert apply(Translation(prompt_id="p"), update) == []


def test_what_is_no_text_is_named() -> None:
    [item] = apply(
        Translation(prompt_id="p"),
        {"sessionUpdate": "agent_message_chunk", "content": {"type": "image", "data": "AAAA", "mimeType": "image/png"}},
        {"sessionUpdate": "agent_message_chunk", "content": {"type": "resource_link", "name": "a.md", "uri": "file:a"}},
    )
    assert item.body == "[image][resource_link: a.md]"


def test_a_text_without_end_is_cut() -> None:
    [item] = apply(Translation(prompt_id="p"), chunk("x" * (TEXT_LIMIT + 5)))
    assert isinstance(item.body, str)
    assert item.body.endswith("… 5 more characters")


def test_a_text_without_end_takes_no_memory_without_end() -> None:
    translation = Translation(prompt_id="p")
    for _ in range(8):
        [item] = apply(translation, chunk("x" * (TEXT_LIMIT // 4)))
    assert sum(map(len, translation.parts)) == TEXT_LIMIT
    assert item.body == "x" * TEXT_LIMIT + f"\n… {TEXT_LIMIT} more characters"
    translation.end_message()
    assert [item.body for item in apply(translation, chunk("new"))] == ["new"]


# What is too much


def call(id_: str, **more: object) -> dict[str, object]:
    return {"sessionUpdate": "tool_call", "toolCallId": id_, "kind": "execute", **more}


def shows(text: str) -> list[dict[str, object]]:
    return [{"type": "content", "content": {"type": "text", "text": text}}]


def test_a_title_without_end_is_cut_where_it_is_shown_and_whole_where_it_is_judged() -> None:
    title = "make " + "x" * 5_000_000
    translation = Translation(prompt_id="p")
    [item] = apply(translation, call("t", title=title))
    body = msgspec.convert(item.body, ToolCallBody)
    assert len(body.title) < TITLE_LIMIT + 50
    assert body.title.endswith(f"… {len(title) - TITLE_LIMIT} more characters")
    params = {"toolCall": {"toolCallId": "t"}, "options": []}
    asked = Message(method="session/request_permission", params=Raw(msgspec.json.encode(params)))
    assert question_of(asked, translation).title == title


def test_a_question_says_a_command_once_and_nothing_that_is_as_usual() -> None:
    script = "printf x > made.txt"
    called_with = {
        "command": ["/bin/bash", "-lc", script],
        "cwd": "/sandbox/code",
        "call_id": "call_1",
        "parsed_cmd": [{"cmd": script, "type": "unknown"}],
        "started_at_ms": 1795991875094,
        "turn_id": "01a22975-2dbc-73b3-b68c-82e32d683723",
        "reason": "call_1",
    }

    def text(cwd: str) -> str | None:
        params = {"toolCall": {"toolCallId": "call_1", "rawInput": called_with}, "options": []}
        asked = Message(method="session/request_permission", params=Raw(msgspec.json.encode(params)))
        return question_of(asked, Translation(prompt_id="p", cwd=cwd)).text

    rest = "reason: call_1"
    assert text("/sandbox/code") == f"{script}\n\n{rest}"
    assert text("/elsewhere") == f"{script}\n\ncwd: /sandbox/code\n{rest}"


def test_a_diff_that_says_what_the_changes_show_is_left_out() -> None:
    path = "/sandbox/code/new.py"
    head = f"Index: {path}\n{'=' * 67}\n--- {path}\n+++ {path}\t2026-11-29\n@@ -1,2 +1,2 @@\n same\n-old\n+new\n"
    head += "\\ No newline at end of file\n"
    edit = {"type": "diff", "path": path, "oldText": "same\nold\n", "newText": "same\nnew\n"}

    def text(diff: str) -> str | None:
        call = {"toolCallId": "t", "rawInput": {"filepath": path, "other": path, "diff": diff}, "content": [edit]}
        asked = Message(method="session/request_permission", params=Raw(msgspec.json.encode({"toolCall": call})))
        return question_of(asked, Translation(prompt_id="p", cwd="/sandbox/code")).text

    assert text(head) == f"other: {path}"
    for more in ("+rm -rf /\n", "-kept\n", " else\n", "--- /etc/passwd\n", "and a word\n"):
        assert text(head + more) == f"other: {path}\ndiff: {head}{more}"
    assert text("same") == f"other: {path}\ndiff: same"


def test_a_plan_without_end_is_cut_and_says_how_much_there_is() -> None:
    entries = [{"content": f"step {number}", "status": "completed"} for number in range(100_000)]
    [item] = apply(Translation(prompt_id="p"), {"sessionUpdate": "plan", "entries": entries})
    shown = msgspec.convert(item.body, PlanBody).entries
    assert len(shown) == PLAN_LIMIT + 1
    assert (shown[0].content, shown[-1].content, shown[-1].status) == ("step 0", "… 99500 more", "completed")
    [item] = apply(Translation(prompt_id="p"), {"sessionUpdate": "plan", "entries": [{"content": "y" * 1_000_000}]})
    assert len(msgspec.json.encode(item.body)) < TITLE_LIMIT * 2


def test_changes_without_end_are_cut_and_say_how_many_there_are() -> None:
    diffs = [{"type": "diff", "path": f"f{number}", "newText": "z" * 10_000} for number in range(1_000)]
    [item] = apply(Translation(prompt_id="p"), call("t", title="Edit", content=diffs))
    body = msgspec.convert(item.body, ToolCallBody)
    assert 0 < len(body.edits) < 101
    assert body.content == f"\n… {1_000 - len(body.edits)} more changes"


def test_what_is_written_down_of_a_turn_does_not_grow_with_its_tool_calls() -> None:
    translation, sizes = Translation(prompt_id="p"), []
    for number in range(5_000):
        apply(translation, call(f"t{number}", title=f"make {number}", status="completed", content=shows("x" * 5_000)))
        if number in (2_499, 4_999):
            sizes.append(len(msgspec.json.encode(translation)))
    assert sizes[1] - sizes[0] < 100
    assert sizes[1] < KEPT_WHOLE * 6_000 + KEPT_TITLES * 200


def test_a_tool_call_that_ended_long_ago_keeps_what_it_showed_unless_it_shows_something_else() -> None:
    translation = Translation(prompt_id="p")
    for number in range(KEPT_TITLES + 100):
        apply(translation, call(f"t{number}", title=f"make {number}", status="completed", content=shows("made")))
    again = {"sessionUpdate": "tool_call_update", "status": "failed"}
    assert apply(translation, {**again, "toolCallId": "t0"}) == [], "not even its title is known"
    assert apply(translation, {**again, "toolCallId": "t500"}) == []
    [item] = apply(translation, {**again, "toolCallId": "t500", "content": shows("made anew")})
    body = msgspec.convert(item.body, ToolCallBody)
    assert (body.title, body.status, body.content) == ("make 500", "failed", "made anew")
    [item] = apply(translation, {**again, "toolCallId": f"t{KEPT_TITLES + 99}"})
    body = msgspec.convert(item.body, ToolCallBody)
    assert (body.status, body.content) == ("failed", "made")
