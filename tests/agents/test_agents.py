"""Real agents, each through what happens to them: every turn ends, says why, and the next prompt works.

`python -m tests.agents.install` gets the agents, `pytest -m agents` runs these; `-k codex` for one of them.
"""

import json
import os
import signal
from collections.abc import Callable

import pytest

from backend_stub.agents.sandbox_agent.state import REMEMBERS
from backend_stub.machine import processes
from tests.agents.model import Call, Cut, Fail, Hang, Say
from tests.agents.task import PATIENCE, AgentTask

pytestmark = [pytest.mark.agents, pytest.mark.timeout(900)]

A_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, in base64."""
Tell = Callable[[str], None]


def test_it_answers_and_gives_its_model_what_is_attached(world: AgentTask) -> None:
    world.model.does(Say("Hello from the model."))
    # Alone: beside files, gemini leaves images out.
    image = {"kind": "image", "mime": "image/png", "data": A_PIXEL, "name": "pixel.png"}
    world.begin("look at this", attachments=[image])
    task = world.ended()
    assert task["status"] == "idle", task.get("error")
    assert world.answers()[-1].endswith("Hello from the model.")
    takes_images = world.session(lambda session: True)["accepts"]["image"]
    assert any(A_PIXEL in request for request in world.model.received) == takes_images
    assert any("takes no images" in notice for notice in world.answers("notice")) != takes_images
    log = world.backend.folder / "log.txt"
    log.write_text("the text of the log")
    world.say("and at these", log, world.cwd / "b.txt")
    assert world.ended()["status"] == "idle"
    received = "".join(world.model.received)
    assert "the text of the log" in received
    assert "b.txt" in received


def test_a_file_is_written_and_shown_in_the_diff(world: AgentTask) -> None:
    world.model.does(world.agent.write(world.cwd / "made.txt", "one\ntwo\n"), Say("It is written."))
    world.begin("make a file")
    question = world.question()
    seen = f"{question['title']} {question.get('text')} {question['edits']} {question['paths']}"
    assert "made.txt" in seen
    assert "two" in seen, "what would be written is not shown"
    world.answer("allow_once")
    task = world.ended()
    assert task["status"] == "idle", task.get("error")
    assert world.answers()[-1].endswith("It is written.")
    assert (world.cwd / "made.txt").read_text() == "one\ntwo\n"
    patch = world.backend.foundry("diff", world.task_id, code=0).out
    assert "+++ b/made.txt" in patch
    assert "+one\n+two\n" in patch
    world.follow_up()


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "denied"])
def test_permission_is_asked_and_answered(world: AgentTask, allowed: bool) -> None:
    command = f"printf x > {world.cwd}/by-command.txt"
    world.model.does(world.agent.run(command), Say("That was it."))
    world.begin("run a command")
    question = world.question()
    assert command in f"{question['title']}\n{question.get('text')}"
    world.answer("allow_once" if allowed else "reject_once")
    task = world.ended()
    assert task["status"] == "idle", task.get("error")
    assert (world.cwd / "by-command.txt").exists() == allowed
    assert len(world.answers("permission")) == 1
    assert allowed or went_on_or_said_why_not(world)
    world.follow_up()


def went_on_or_said_why_not(world: AgentTask) -> bool:
    """Whether the agent looked for another way when it was denied something, or is said to have ended its turn."""
    said = any(words.endswith("That was it.") for words in world.answers())
    return said != any("ended its turn as this was denied" in notice for notice in world.answers("notice"))


def test_what_a_rule_denies_is_not_asked_and_the_agent_is_told_how_to_go_on(world: AgentTask, tell: Tell) -> None:
    world.backend.stop()
    world.backend.environ["FOUNDRY_RULES"] = json.dumps([{"deny": "printf *"}, {"allow": "touch *"}])
    world.backend.start()
    world.model.does(world.agent.run(f"printf x > {world.cwd}/by-command.txt"), Say("That was it."))
    world.begin("run a command")
    task = world.ended()
    assert task["status"] == "idle", task.get("error")
    assert not (world.cwd / "by-command.txt").exists()
    [asked] = world.backend.get(f"/v1/tasks/{world.task_id}")["permissions"]
    assert asked["answered_by"] == "denied by rule `printf *`"
    assert went_on_or_said_why_not(world)
    tell(f"{world.agent.name}, denied by a rule: {world.answers('notice') or 'it went on'}")
    world.model.does(world.agent.run("touch by-rule.txt"), Say("So it is done."))
    world.say("do it with touch")
    task = world.ended()
    assert (task["status"], task["needs_input"]) == ("idle", 0), task.get("error")
    assert (world.cwd / "by-rule.txt").exists(), "a rule allowed it"
    assert world.answers()[-1].endswith("So it is done.")


def test_a_file_that_is_mentioned_is_read_over_a_killed_backend(world: AgentTask) -> None:
    world.model.does(Say("Hello from the model."))
    world.begin("say hello")
    world.ended()
    file = world.cwd / "mentioned.txt"
    file.write_text("the words of the file")
    world.model.does(world.agent.read(file), Hang("I have read it."))
    world.say("what does it say?", file)
    world.end_over_a_kill()
    assert [said.endswith("I have read it.") for said in world.answers()].count(True) == 1
    assert "mentioned.txt" in world.model.received[-1]
    assert "the words of the file" in world.model.received[-1]


def test_another_model_is_asked_once_it_is_chosen_and_what_is_used_is_told(world: AgentTask, tell: Tell) -> None:
    world.model.does(Hang("It took a while."))
    world.begin("take your time")
    world.model.wait_until_it_hangs()
    session = world.session(lambda session: bool(session["options"]))
    option = next(option for option in session["options"] if option["category"] == "model")
    path = f"/v1/sessions/{session['session_id']}/options/{option['option_id']}"
    world.backend.post(path, {"value": world.agent.other})
    world.end_over_a_kill()
    before = len(world.model.named)
    world.follow_up()
    tell(f"{world.agent.name} asked {world.model.named[before - 1]}, then {world.model.named[before:]}")
    assert all(world.agent.other.rpartition("/")[2] in name for name in world.model.named[before:])
    assert world.agent.other.rpartition("/")[2] not in world.model.named[before - 1]
    session = world.session(lambda session: session["usage"] is not None or not world.agent.tells_usage)
    tell(f"{world.agent.name}, usage: {session['usage']}")
    if world.agent.tells_usage:
        assert 0 < session["usage"]["used"] < session["usage"]["size"]


def test_what_it_offers_is_told_and_an_option_is_set(world: AgentTask, tell: Tell) -> None:
    world.model.does(Say("Hello from the model."))
    world.begin("say hello")
    world.ended()
    session = world.session(lambda session: bool(session["commands"]))
    names = ", ".join(option["option_id"] for option in session["options"])
    tell(f"{world.agent.name} offers {names} and {len(session['commands'])} commands, {session['accepts']}")
    some = [option for option in session["options"] if len(option["choices"]) > 1]
    option = next((each for each in some if each["category"] == "mode"), some[0])
    # Others may be refused, as those are that ask nothing in a folder that nobody has said to trust.
    others = [choice["value"] for choice in option["choices"] if choice["value"] != option["value"]]
    value = "plan" if "plan" in others else others[0]
    world.backend.post(f"/v1/sessions/{session['session_id']}/options/{option['option_id']}", {"value": value})
    world.follow_up()
    assert "method=session/set_" in world.server_log()
    world.backend.kill()
    assert processes.end_marked(world.task_id) > 0
    world.backend.start()
    world.follow_up()
    [held] = [each for each in world.session(lambda session: True)["options"] if each["name"] == option["name"]]
    assert (held["value"], held["error"]) == (value, None), "a new process is set up as the one before"


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_turn_that_the_model_fails_says_why(world: AgentTask, status: int, tell: Tell) -> None:
    world.model.does(Fail(status))
    world.begin("try it")
    task = world.ended()
    assert task["status"] == "error"
    error = task["error"]
    tell(f"{world.agent.name}, {status}: {error['message']}")
    assert error["kind"] == "agent"
    assert {401: world.agent.login, 429: "asked too often", 500: "fault of its own"}[status] in error["message"]
    world.model.does(Say("Now it works."))
    world.resend()
    task = world.ended()
    assert task["status"] == "idle", task.get("error")
    assert world.answers()[-1].endswith("Now it works.")
    world.follow_up()


def test_an_answer_that_is_cut_ends_its_turn(world: AgentTask, tell: Tell) -> None:
    world.model.does(Cut("It begins well."))
    world.begin("try it")
    task = world.ended()
    tell(f"{world.agent.name}, cut: {task['status']}: {task['error']['message'] if task.get('error') else ''}")
    world.follow_up()


def test_a_turn_that_hangs_can_be_stopped(world: AgentTask) -> None:
    world.model.does(Hang())
    world.begin("think for ever")
    world.model.wait_until_it_hangs()
    world.stop()
    task = world.ended()
    assert task["status"] == "idle", task.get("error")
    world.follow_up()


def test_an_agent_that_is_killed_fails_its_turn(world: AgentTask, tell: Tell) -> None:
    world.model.does(Hang())
    world.begin("think for ever")
    world.model.wait_until_it_hangs()
    for pid, started in world.agents().items():
        processes.end_tree(pid, started)
    task = world.ended()
    assert task["status"] == "error"
    tell(f"{world.agent.name}, killed: {task['error']['message']}")
    assert "agent" in task["error"]["message"]
    world.follow_up()


def test_an_agent_whose_own_process_is_killed_fails_its_turn(world: AgentTask, tell: Tell) -> None:
    world.model.does(Hang())
    world.begin("think for ever")
    world.model.wait_until_it_hangs()
    inner = world.inner_processes()
    if not inner:
        pytest.skip(f"{world.agent.name} is one process")
    for pid in inner:
        os.kill(pid, signal.SIGKILL)
    task = world.ended()
    assert task["status"] == "error"
    tell(f"{world.agent.name}, inner process killed: {task['error']['message']}")
    world.follow_up()


def test_a_turn_goes_on_over_a_killed_backend(world: AgentTask) -> None:
    world.model.does(Hang("It took a while."))
    world.begin("take your time")
    world.end_over_a_kill()
    assert [text.endswith("It took a while.") for text in world.answers()].count(True) == 1
    assert world.model.asked <= 2
    world.follow_up()


def test_an_agent_that_went_with_its_backend_comes_back_and_has_read_the_conversation(world: AgentTask) -> None:
    world.model.does(Say("Hello from the model."))
    world.begin("say hello")
    world.ended()
    world.let_it_be_kept()
    world.backend.kill()
    assert processes.end_marked(world.task_id) > 0
    world.backend.start()
    world.follow_up()
    # What codex warns of is a notice too.
    assert world.answers("notice").count(REMEMBERS) == 1
    assert sum("Hello from the model." in text for text in world.answers()) == 1


def test_a_question_is_answered_over_a_killed_backend(world: AgentTask) -> None:
    world.model.does(world.agent.run(f"printf x > {world.cwd}/by-command.txt"), Say("That was it."))
    world.begin("run a command")
    world.question()
    world.backend.kill()
    world.backend.start()
    world.question()
    world.answer("allow_once")
    task = world.ended()
    assert task["status"] == "idle", task.get("error")
    assert (world.cwd / "by-command.txt").exists()
    world.follow_up()


def test_its_question_of_several_choices_is_a_form(world: AgentTask, tell: Tell) -> None:
    if world.agent.name != "claude":
        pytest.skip(f"{world.agent.name} asks no such questions")
    choices = [{"label": label, "description": f"The {label} one"} for label in ("Blue", "Green")]
    question = {"question": "Which colour?", "header": "Colour", "options": choices, "multiSelect": False}
    world.model.does(Call("AskUserQuestion", {"questions": [question]}), Say("It is so."))
    world.begin("ask me")
    form = world.question()
    fields = form["fields"]
    tell(f"{world.agent.name} asks: {form['title']} {[(field['name'], field['type']) for field in fields]}")
    assert form["kind"] == "form"
    assert "Which colour?" in f"{form['title']}{fields}"
    world.backend.kill()
    world.backend.start()
    chosen = next(field for field in fields if field.get("choices"))
    value = next(choice["value"] for choice in chosen["choices"] if "Green" in choice["value"] + choice["name"])
    world.backend.foundry("answer", world.task_id, "--set", f"{chosen['name']}={value}", code=0, timeout=PATIENCE)
    task = world.ended()
    assert task["status"] == "idle", task.get("error")
    assert world.answers()[-1].endswith("It is so.")
    assert any("Green" in said for said in world.answers("tool_call")), "the agent has the answer"
    world.follow_up()


def test_what_waits_is_changed_and_what_steers_goes_first_over_a_killed_backend(world: AgentTask) -> None:
    world.model.does(Hang())
    world.begin("think for ever")
    world.model.wait_until_it_hangs()
    world.model.does(Say("As you say."))
    [session_id] = [each["session_id"] for each in world.backend.get(f"/v1/tasks/{world.task_id}")["sessions"]]
    path = f"/v1/sessions/{session_id}/prompts"
    world.backend.post(path, {"prompt_id": "waits", "text": "the first wording"})
    world.backend.post(path, {"prompt_id": "goes", "text": "what is taken back"})
    world.backend.kill()
    world.backend.start()
    assert world.backend.http.patch(f"{path}/waits", json={"text": "the second wording"}).status_code == 200
    assert world.backend.http.delete(f"{path}/goes").status_code == 200
    world.backend.post(path, {"prompt_id": "steers", "text": "leave that, do this", "steer": True})
    told = world.session(lambda session: session["prompts"][1]["state"] == "answered")
    assert {each["prompt_id"]: each["state"] for each in told["prompts"][1:]} == {
        "waits": "answered",
        "goes": "withdrawn",
        "steers": "answered",
    }
    assert [said.endswith("As you say.") for said in world.answers()].count(True) == 2
    received = "".join(world.model.received)
    assert 0 <= received.find("leave that, do this") < received.find("the second wording")
    assert "the first wording" not in received
    assert "what is taken back" not in received


def test_an_idle_agent_is_ended_and_comes_back_with_its_conversation_over_a_killed_backend(world: AgentTask) -> None:
    world.model.does(Say("Hello from the model."))
    world.begin("say hello")
    world.ended()
    world.let_it_be_kept()
    world.backend.stop()
    world.backend.environ["FOUNDRY_AGENTS_IDLE_MINUTES"] = "0.01"
    world.backend.start()
    world.session(lambda session: session["unloaded_since"] is not None)
    world.backend.kill()
    world.backend.start()
    world.model.does(Say("Still here."))
    world.backend.post(
        f"/v1/sessions/{world.session(lambda _: True)['session_id']}/prompts",
        {"prompt_id": "again", "text": "are you there?"},
    )
    world.session(lambda session: session["prompts"][-1]["state"] == "answered")
    assert world.answers()[-1].endswith("Still here.")
    assert sum("Hello from the model." in text for text in world.answers()) == 1
    assert "Hello from the model." in world.model.received[-1], "it has read the conversation"


def test_a_command_of_its_own_is_run(world: AgentTask, tell: Tell) -> None:
    world.model.does(Say("Hello from the model."))
    world.begin("say hello")
    world.ended()
    session = world.session(lambda session: bool(session["commands"]))
    names = [command["name"] for command in session["commands"]]
    name = next(name for name in (*("context", "about", "compact", "init"), *names) if name in names)
    world.model.does(Say("Done."), Say("Done."))
    world.say(f"/{name}")
    task = world.ended()
    tell(f"{world.agent.name}, /{name}: {world.answers()[-1][:100]!r}; usage {session['usage']}")
    assert task["status"] == "idle", task.get("error")
    world.follow_up()


def test_a_command_of_its_own_goes_on_over_a_killed_backend(world: AgentTask) -> None:
    world.model.does(Say("Hello from the model."))
    world.begin("say hello")
    world.ended()
    names = [command["name"] for command in world.session(lambda session: bool(session["commands"]))["commands"]]
    assert "init" in names
    world.model.does(Hang("It is made."))
    world.say("/init")
    if world.agent.init_asks:
        world.end_over_a_kill()
        assert [said.endswith("It is made.") for said in world.answers()].count(True) == 1
    else:
        world.backend.kill()
        world.backend.start()
        task = world.ended()
        assert task["status"] == "idle", task.get("error")
        assert sum("has been created" in said for said in world.answers()) == 1
    assert world.answers("prompt").count("/init") == 1
    world.follow_up()


def test_an_image_is_seen_once_over_a_killed_backend(world: AgentTask) -> None:
    image = {"kind": "image", "mime": "image/png", "data": A_PIXEL, "name": "pixel.png"}
    world.model.does(Hang("It is one pixel."))
    world.begin("look at this", attachments=[image])
    world.end_over_a_kill()
    assert [said.endswith("It is one pixel.") for said in world.answers()].count(True) == 1
    takes_images = world.session(lambda session: True)["accepts"]["image"]
    world.follow_up()
    asked = next(request for request in reversed(world.model.received) if "are you there?" in request)
    assert asked.count(A_PIXEL) == takes_images, "the conversation has it as often as it was sent"
