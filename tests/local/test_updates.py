"""From session/update messages to transcript items, and which requests a policy answers."""

import msgspec
import pytest

from backend_stub.agents.sandbox_agent.policy import decide
from backend_stub.agents.sandbox_agent.updates import TEXT_LIMIT, Item, Translation, Update
from backend_stub.domain.agent import Policy
from foundry_tui.contract.records import PermissionOption, ToolCallBody, TranscriptKind


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
        Translation(prompt_id="p", cwd="/work/tree"),
        {"sessionUpdate": "tool_call", "toolCallId": "t", "title": "Edit", "kind": "edit", "status": "pending"},
        {
            "sessionUpdate": "tool_call_update",
            "toolCallId": "t",
            "status": "completed",
            "title": None,
            "content": [
                {"type": "content", "content": {"type": "text", "text": "done"}},
                {"type": "diff", "path": "/work/tree/src/a.py", "oldText": "x", "newText": "y"},
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


ONCE = PermissionOption(option_id="1", name="Allow", kind="allow_once")
ALWAYS = PermissionOption(option_id="2", name="Always", kind="allow_always")
REJECT = PermissionOption(option_id="3", name="Reject", kind="reject_once")


@pytest.mark.parametrize(
    ("policy", "kind", "options", "answer"),
    [
        (Policy.ASK, "read", [ONCE], None),
        (Policy.READS, "read", [REJECT, ALWAYS, ONCE], "1"),
        (Policy.READS, "search", [ALWAYS], "2"),
        (Policy.READS, "fetch", [ONCE], None),
        (Policy.READS, "edit", [ONCE], None),
        (Policy.READS, "other", [ONCE], None),
        (Policy.ALL, "execute", [ALWAYS, ONCE], "1"),
        (Policy.ALL, "execute", [REJECT], None),
    ],
)
def test_what_a_policy_answers(policy: Policy, kind: str, options: list[PermissionOption], answer: str | None) -> None:
    assert decide(policy, kind, options) == answer
