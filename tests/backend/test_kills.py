"""Nothing is lost and nothing is done twice, however often the backend is killed, and wherever."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from foundry_tui.contract.ids import uuid7
from tests.backend.invariants import Effects, check_history, check_no_stage_again, check_resumed
from tests.backend.process import BackendProcess
from tests.world import Json

# httpcore leaves the socket open when nobody listens on its path any more.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")

SCRIPT: Json = {
    "default": {
        "ensure_name": {"ms": 10},
        "create_sandbox": {"ms": 40, "log": ["making room", "room made"]},
        "ensure_agent": {"ms": 40},
        "create_session": {"ms": 20},
        "turn": {"ms": 40},
    },
    "tasks": [
        {"match": "name fails once", "ensure_name": {"fail": "no name", "times": 1}},
        {"match": "sandbox fails once", "create_sandbox": {"ms": 20, "fail": "no room", "times": 1}},
        {"match": "agent hangs once", "ensure_agent": {"hang": "after", "times": 1}},
        {"match": "sandbox hangs once", "create_sandbox": {"hang": "after", "times": 1}},
        {"match": "session fails once", "create_session": {"fail": "no line", "times": 1}},
        {"match": "agent fails for ever", "ensure_agent": {"fail": "no such agent"}},
        {"match": "sandbox is refused", "create_sandbox": {"fail": "forbidden", "retryable": False}},
    ],
}
KINDS = [
    *["plain"] * 6,
    "name fails once",
    "sandbox fails once",
    "agent hangs once",
    "sandbox hangs once",
    "session fails once",
    "agent fails for ever",
    "sandbox is refused",
]
SCRIPTED_ERROR = {"agent fails for ever": "ensure_agent", "sandbox is refused": "create_sandbox"}

Act = Callable[[], object]


@dataclass
class Plan:
    """A task that is to be made, and what was asked of it."""

    kind: str
    task_id: str = field(default_factory=uuid7)
    session_id: str = field(default_factory=uuid7)
    answered: bool = False
    prompts: list[str] = field(default_factory=list)
    early: str | None = None
    end: str | None = None


class Storm:
    """Asks a backend for things while it is killed at random moments; what was not answered is asked again."""

    def __init__(self, backend: BackendProcess, seed: int, tasks: int, kills: int) -> None:
        self.backend = backend
        self.chance = random.Random(seed)
        self.plans = [Plan(self.chance.choice(KINDS)) for _ in range(tasks)]
        self.kills = kills
        self.starts: list[int] = []
        self.asked_again = 0
        self.acts: list[Act] = []
        for plan in self.plans:
            self._plan(plan)

    def run(self) -> None:
        """All lives but the last end in SIGKILL; in the last one everything comes to rest."""
        for life in range(self.kills):
            self.starts.append(time.time_ns() // 1_000_000)
            if self.chance.random() < 0.15:
                self.backend.spawn()
                time.sleep(self.chance.uniform(0, 0.6))  # the moment of the kill is what is random here
                self.backend.kill()
                continue
            self.backend.start()
            share = -(-len(self.acts) // max(1, self.kills - life - 1))
            worker = threading.Thread(target=self._ask, args=(share,))
            worker.start()
            time.sleep(self.chance.uniform(0, 0.25))  # as above
            self.backend.kill()
            worker.join()
        self.starts.append(time.time_ns() // 1_000_000)
        self.backend.start()
        self._ask(len(self.acts))
        assert not self.acts
        self._rest()

    def _plan(self, plan: Plan) -> None:
        chance = self.chance
        self.acts.append(lambda: self._create(plan))
        if chance.random() < 0.3:
            self.acts.append(self._prompt(plan, plan.session_id))
        if chance.random() < 0.2:
            early = uuid7()
            self.acts.append(lambda: self._session(plan, early))
            self.acts.append(self._prompt(plan, early))
        if chance.random() < 0.2:
            plan.end = chance.choice(("kill", "archive"))
            # Some way behind, so that it meets the task anywhere between queued and idle.
            place = max(0, len(self.acts) - chance.randrange(3))
            self.acts.insert(place, lambda: self._end(plan))

    def _create(self, plan: Plan) -> None:
        body = {"repo": str(self.backend.repository), "prompt": f"Fix it, {plan.kind}", "task_id": plan.task_id}
        self._post("/v1/tasks", {**body, "session_id": plan.session_id})
        plan.answered = True

    def _prompt(self, plan: Plan, session_id: str) -> Act:
        prompt_id = uuid7()

        def act() -> None:
            body = {"prompt_id": prompt_id, "text": "And then?"}
            asked = session_id in (plan.session_id, plan.early)
            if asked and self._post(f"/v1/sessions/{session_id}/prompts", body):
                plan.prompts.append(prompt_id)

        return act

    def _session(self, plan: Plan, session_id: str) -> None:
        if self._post(f"/v1/tasks/{plan.task_id}/sessions", {"session_id": session_id}):
            plan.early = session_id

    def _end(self, plan: Plan) -> None:
        if plan.answered:
            self._post(f"/v1/tasks/{plan.task_id}/{plan.end}", {})
        else:
            plan.end = None

    def _post(self, path: str, body: Json) -> bool:
        """Whether it was done; False when the task had been ended before."""
        answer = self.backend.http.post(path, json=body)
        assert answer.status_code in (200, 201, 202, 409), answer.text
        return answer.status_code != 409

    def _ask(self, most: int) -> None:
        for _ in range(min(most, len(self.acts))):
            try:
                self.acts[0]()
            except httpx.TransportError:
                self.asked_again += 1
                return
            del self.acts[0]

    def _rest(self) -> None:
        """Wait, told by events, until no task has anything left to do."""
        busy = {plan.task_id for plan in self.plans}
        with self.backend.events("tasks") as events:
            for event in events:
                record = json.loads(event.data)
                tasks = record["tasks"] if event.event == "snapshot" else [record] if event.event == "task" else []
                busy -= {task["task_id"] for task in tasks if self._rests(task)}
                if not busy:
                    return
        raise AssertionError(f"the stream ended while {busy} had something to do")

    def _rests(self, task: Json) -> bool:
        if task["status"] in ("killed", "archived", "error"):
            return True
        if task["status"] != "idle":
            return False
        sessions = [self.backend.get(f"/v1/sessions/{each['session_id']}") for each in task["sessions"]]
        return all(prompt["state"] in ("answered", "failed") for each in sessions for prompt in each["prompts"])


def check(storm: Storm) -> Counter[str]:
    """Hold every task against the promises; the counts to print."""
    backend, effects = storm.backend, Effects(storm.backend)
    counts: Counter[str] = Counter(tasks=len(storm.plans), kills=storm.kills, asked_again=storm.asked_again)
    for plan in storm.plans:
        task = backend.get(f"/v1/tasks/{plan.task_id}")
        events = backend.get(f"/v1/tasks/{plan.task_id}/history")["events"]
        effects.check_once(plan.task_id)
        check_history(events)
        check_no_stage_again(events, effects.of(plan.task_id))
        counts["resumed"] += check_resumed(events, storm.starts)
        counts[task["status"]] += 1
        if plan.end is not None:
            assert task["status"] == {"kill": "killed", "archive": "archived"}[plan.end]
            assert not effects.sandbox_left(plan.task_id)
            continue
        stage = SCRIPTED_ERROR.get(plan.kind)
        if stage is not None:
            assert (task["status"], task["error"]["stage"]) == ("error", stage)
            failed = next(each for each in task["stages"] if each["name"] == stage)
            assert failed["attempt"] == (1 if plan.kind == "sandbox is refused" else failed["max_attempts"])
            continue
        assert task["status"] == "idle", task["error"]
        assert [each["state"] for each in task["stages"]] == ["done"] * 4
        check_attempts(plan, events)
        prompts = [
            prompt
            for session in task["sessions"]
            for prompt in backend.get(f"/v1/sessions/{session['session_id']}")["prompts"]
        ]
        assert {prompt["state"] for prompt in prompts} == {"answered"}
        assert sorted(effects.delivered(plan.task_id)) == sorted(prompt["prompt_id"] for prompt in prompts)
        assert set(plan.prompts) <= {prompt["prompt_id"] for prompt in prompts}
        assert plan.early in (None, *(session["session_id"] for session in task["sessions"]))
        counts["prompts"] += len(prompts)
        check_transcripts(backend, task)
        kinds = Counter(event["kind"] for event in events)
        assert kinds["prompt.delivered"] == kinds["prompt.answered"] == len(prompts)
        assert kinds["session.ready"] == len(task["sessions"])
    return counts


def check_attempts(plan: Plan, events: list[Json]) -> None:
    """An attempt failed as scripted, or because its time ran out while the backend was being killed."""
    for before, after in pairwise(event for event in events if event["kind"].startswith(("stage.", "provision."))):
        if after["kind"] == "stage.retrying" and (plan.kind == "plain" or after["payload"]["attempt"] > 1):
            assert after["payload"]["kind"] == "timeout"
            assert before["kind"] == "provision.resumed"


def check_transcripts(backend: BackendProcess, task: Json) -> None:
    """Each prompt stands there once, followed by its reply, whole."""
    for session in task["sessions"]:
        detail = backend.get(f"/v1/sessions/{session['session_id']}")
        assert [item["index"] for item in detail["transcript"]] == list(range(len(detail["transcript"])))
        told = [(item["kind"], item["body"]) for item in detail["transcript"]]
        expected = [
            entry for prompt in detail["prompts"] for entry in (("prompt", prompt["text"]), ("message", "Done."))
        ]
        assert told == expected


def storm(folder: Path, seed: int, tasks: int, kills: int) -> None:
    environment = {"FOUNDRY_STAGE_TIMEOUT_MS": "3000", "FOUNDRY_STAGE_BACKOFF_MS": "20"}
    backend = BackendProcess(folder, environ=environment, options=("--max-provisioning", "16"))
    backend.set_script(SCRIPT)
    try:
        tried = Storm(backend, seed, tasks, kills)
        tried.run()
        counts = check(tried)
    finally:
        backend.close()
    print(f"seed {seed}:", ", ".join(f"{name} {count}" for name, count in counts.items()))
    assert counts["resumed"] > 0


def test_tasks_survive_kills_at_any_moment(tmp_path: Path) -> None:
    storm(tmp_path, seed=3, tasks=40, kills=12)


@pytest.mark.slow
def test_tasks_survive_many_kills(tmp_path: Path) -> None:
    storm(tmp_path, seed=17, tasks=200, kills=50)
