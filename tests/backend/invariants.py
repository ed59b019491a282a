"""What must hold of every task, whatever happened to it: told from its record, its history and the effects log."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from foundry_tui.contract.status import STAGES
from tests.backend.process import BackendProcess
from tests.world import Json

ONCE = ("create_sandbox", "start_agent", "create_session", "deliver_prompt")
"""Effects that a world shows once for each thing made, however often the backend was killed."""


class Effects:
    """The effects log, read once, by task."""

    def __init__(self, backend: BackendProcess) -> None:
        self._by_task: dict[str, list[Json]] = {}
        for line in backend.effects():
            self._by_task.setdefault(line["task_id"], []).append(line)

    def of(self, task_id: str) -> list[Json]:
        return self._by_task.get(task_id, [])

    def check_once(self, task_id: str) -> None:
        """Nothing was made twice: no sandbox, agent, session; no prompt was delivered twice."""
        made = Counter(
            (line["effect"], line.get("session_id"), line.get("prompt_id"))
            for line in self.of(task_id)
            if line.get("effect") in ONCE
        )
        assert not [what for what, times in made.items() if times > 1], f"{task_id} doubled: {made}"

    def delivered(self, task_id: str) -> list[str]:
        """Ids of the prompts that the agent was given, in order."""
        return [line["prompt_id"] for line in self.of(task_id) if line.get("effect") == "deliver_prompt"]

    def sandbox_left(self, task_id: str) -> bool:
        """Whether the world still has a sandbox of the task."""
        left = False
        for line in self.of(task_id):
            if line.get("effect") in ("create_sandbox", "resume_sandbox"):
                left = True
            elif line.get("effect") in ("destroy_sandbox", "release_sandbox"):
                left = False
        return left


def check_history(events: Sequence[Json]) -> None:
    """Seqs rise; each stage begins after the one before it was completed, and its attempts count 1, 2, 3 …"""
    assert [event["kind"] for event in events[:2]] == ["task.created", "provision.queued"]
    assert all(before["seq"] < after["seq"] for before, after in pairwise(events))
    done: list[str] = []
    attempt = 0
    running: str | None = None
    for event in events:
        kind, payload = event["kind"], event["payload"]
        if kind == "provision.retry_requested":
            assert running is None
            attempt = 0
        elif kind == "stage.started":
            assert running is None, f"{payload['stage']} began while {running} ran"
            assert payload["stage"] == STAGES[len(done)], f"{payload['stage']} began after {done}"
            attempt += 1
            assert payload["attempt"] == attempt
            running = payload["stage"]
        elif kind in ("stage.retrying", "stage.failed", "stage.completed"):
            assert payload["stage"] == running
            assert payload["attempt"] == attempt
            running = None
            if kind == "stage.completed":
                done.append(payload["stage"])
                attempt = 0


def check_no_stage_again(events: Sequence[Json], effects: Sequence[Json]) -> None:
    """No stage was called after it had been completed."""
    completed = {event["payload"]["stage"]: event["at"] for event in events if event["kind"] == "stage.completed"}
    # The session's call is also made for each further session, so the calls of the first one are told by the rest.
    for stage in STAGES[:3]:
        late = [line for line in effects if line.get("call") == stage and line["at"] > completed.get(stage, 2**60)]
        assert not late, f"{stage} was called again: {late}"


def check_resumed(events: Sequence[Json], starts: Sequence[int]) -> int:
    """After each restart in the midst of provisioning the first thing told is that it goes on; how often it was.

    `starts` are the moments (ms) at which backend processes were started.
    """

    def life(event: Json) -> int:
        return sum(start <= event["at"] for start in starts)

    provisioning: list[Json] = []
    for event in events:
        if event["kind"].startswith(("stage.", "provision.", "task.", "sandbox.", "agent.")):
            provisioning.append(event)
        if event["kind"] in ("task.running", "task.error", "task.kill_requested", "task.archive_requested"):
            break
    resumed = 0
    for before, after in pairwise(provisioning):
        asked = after["kind"] in ("task.kill_requested", "task.archive_requested")
        if life(before) < life(after) and not asked:
            assert after["kind"] == "provision.resumed", f"{after['kind']} followed {before['kind']} over a restart"
            resumed += 1
    return resumed
