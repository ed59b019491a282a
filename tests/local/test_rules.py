"""Rules and permissions over the whole way: the config's, a repository's own, the real server and a scripted agent."""

import json
from collections.abc import Iterator

import pytest

from backend_stub.providers.local.rules import read_rules
from backend_stub.repository.setup_files import SetupFiles
from foundry_tui.contract.ids import uuid7
from foundry_tui.contract.rules import Rule
from tests.backend.process import BackendProcess
from tests.git import git
from tests.local.world import LocalWorld

OPTIONS = [
    {"optionId": "always", "name": "Always", "kind": "allow_always"},
    {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
    {"optionId": "no", "name": "Reject", "kind": "reject_once"},
]


def asking(command: str) -> str:
    """A line of a prompt that has the agent ask for leave to run this."""
    call = {"toolCallId": command, "title": "Run it", "kind": "execute", "rawInput": {"command": command}}
    return f"request {json.dumps({'toolCall': call, 'options': OPTIONS})}"


@pytest.fixture
def ruled(world: LocalWorld) -> Iterator[BackendProcess]:
    """A backend whose config allows `make *`, in a repository that denies `make install*` and allows `pytest *`."""
    folder = world.repository / ".foundry"
    folder.mkdir()
    (folder / "rules.toml").write_text('[[rules]]\ndeny = "make install*"\n[[rules]]\nallow = "pytest *"\n')
    git(world.repository, "add", "--all")
    git(world.repository, "commit", "--quiet", "--message=rules")
    world.environ["FOUNDRY_RULES"] = json.dumps([{"allow": "make *", "repository": f"{world.repository.parent}/*"}])
    with BackendProcess(world.folder, world.environ) as backend:
        yield backend.start()
        world.tasks += [task["task_id"] for task in backend.get("/v1/tasks")["tasks"]]


@pytest.mark.slow
def test_rules_answer_and_the_rest_is_asked(ruled: BackendProcess, world: LocalWorld) -> None:
    text = "\n".join(map(asking, ("make all", "make install", "pytest -q", "make all; evil")))
    task_id = ruled.create(text, repo=str(world.repository), trust=True)["task_id"]
    task = ruled.wait_task(task_id, lambda task: bool(task["needs_input"]) or task["status"] == "error")
    # Killed while one question is open and three are answered, none is asked or answered again.
    ruled.kill()
    ruled.start()
    [asked] = [each for each in task["permissions"] if each["state"] == "open"]
    assert asked["text"] == "make all; evil"
    ruled.post(f"/v1/permissions/{asked['permission_id']}", {"option_id": "no"}, status=200)
    task = ruled.wait_task(task_id, "idle")
    items = ruled.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")["transcript"]
    assert [item["body"].get("answered_by") for item in items if item["kind"] == "permission"] == [
        "allowed by rule `make *`",
        "denied by rule `make install*`",
        "allowed by rule `pytest *`",
        None,
    ]
    said = next(item["body"] for item in items if item["kind"] == "message")
    answers = [json.loads(part)["optionId"] for part in said.split("outcome: ")[1:]]
    assert answers == ["yes", "no", "yes", "no"]
    kinds = ruled.kinds(task_id)
    assert [kinds.count(f"permission.{each}") for each in ("opened", "answered", "cancelled")] == [4, 4, 0]


@pytest.mark.slow
def test_a_rule_knows_a_command_that_is_a_title(ruled: BackendProcess, world: LocalWorld) -> None:
    """As gemini asks; where it would be run elsewhere, a person is asked."""

    def asks(command: str, told: str) -> str:
        content = [{"type": "content", "content": {"type": "text", "text": told}}]
        call = {"toolCallId": command, "title": command, "kind": "execute", "content": content}
        return f"request {json.dumps({'toolCall': call, 'options': OPTIONS})}"

    task_id = uuid7()
    cwd = ruled.data.resolve() / "sandboxes" / task_id / "work" / world.repository.name
    here = f"[current working directory {cwd}] (Runs it)"
    lines = (asks("make all", here), asks("make install", here), asks("make all", "[in /elsewhere] (Runs it)"))
    ruled.create("\n".join(lines), task_id=task_id, repo=str(world.repository), trust=True)
    task = ruled.wait_task(task_id, lambda task: bool(task["needs_input"]) or task["status"] == "error")
    items = ruled.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")["transcript"]
    assert [item["body"].get("answered_by") for item in items if item["kind"] == "permission"] == [
        "allowed by rule `make *`",
        "denied by rule `make install*`",
        None,
    ]


@pytest.mark.slow
def test_rules_that_nobody_trusted_do_not_count(ruled: BackendProcess, world: LocalWorld) -> None:
    task_id = ruled.create(asking("pytest -q"), repo=str(world.repository))["task_id"]
    task = ruled.wait_task(task_id, lambda task: bool(task["needs_input"]) or task["status"] in ("idle", "error"))
    assert task["needs_input"] == 1
    assert task["permission_policy"] == "ask"
    items = ruled.get(f"/v1/sessions/{task['sessions'][0]['session_id']}")["transcript"]
    assert any(item["kind"] == "notice" and ".foundry/rules.toml" in item["body"] for item in items)


@pytest.mark.parametrize(
    ("text", "rules", "words"),
    [
        ('[[rules]]\nallow = "make"\nkind = "execute"\n', (Rule(allow="make", kind="execute"),), ""),
        ("", (), ""),
        ("[[rules]]\n", (), "either allow or deny"),
        ('[[rules]]\nallow = "a; b"\n', (), "not one simple command"),
        ('[[rules]]\nallow = "a"\nrepository = "x"\n', (), "unknown field `repository`"),
        ("[[rules\n", (), "left out"),
        ("\udcff", (), "left out"),
        (f"number = {'9' * 5_000}\n", (), "left out"),
        (f"deep = {'[' * 5_000}\n", (), "nested too deeply"),
    ],
)
def test_a_repositorys_own_rules_are_read_whole_or_not_at_all(text: str, rules: tuple[Rule, ...], words: str) -> None:
    content = SetupFiles(((".foundry/rules.toml", text.encode(errors="surrogateescape")),), "digest")
    found, why = read_rules(content)
    assert found == rules
    assert words in why
    assert bool(why) is bool(words)
