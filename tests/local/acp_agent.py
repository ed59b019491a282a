#!/usr/bin/env python3
"""A coding agent of the standard library alone that does what the prompt's lines say, in ACP over stdin and stdout.

One line of the prompt is one step: a verb and its text. `say`, `think` stream text; `tool`, `edit PATH`, `plan`, `ask`
send updates or a permission request; `write PATH TEXT` changes a file; `wait FIFO` blocks until somebody writes to the
FIFO; `call METHOD` sends a request that clients need not know; `die TEXT` ends the process, `fail TEXT` the turn;
`error JSON` ends it with this error (`fail-unless PATH JSON` while there is no such file), `result JSON` with this
result, `broken` with one that comes again ever after.
`chunk ID TEXT` says something under a messageId, `update JSON` sends any update, `request JSON` asks with any params,
`request-as-7 JSON` with this id each time, `late FIFO TEXT` says something after the turn's end. `raw TEXT` prints a
line as it is ({id} is the prompt's), `latin TEXT` one that is no UTF-8; `mute` never answers. Anything else is echoed.

ACP_AGENT_TAKES are its prompt capabilities, images where nothing is said.
ACP_AGENT_LOADS lets it load sessions, and with `first` it replays them after its answer. ACP_AGENT_OFFERS is what
`session/new` answers beside the session's id, or with ACP_AGENT_OFFERS_LATER, a FIFO, tells once somebody writes to
that; an option is set unless its value is `refused`.
With ACP_AGENT_STEERS it takes prompts into a turn (`_session/steering`), and says them there: `yes` at once, `refuses`
not at all, a FIFO once somebody writes to that. What it receives is appended to the file named by ACP_AGENT_LOG, one
JSON object a line. ACP_AGENT_SLOW is how many seconds each step of opening a session takes.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any

Message = dict[str, Any]


class FailedError(Exception):
    """The turn ends with an error answer."""

    def __init__(self, error: Message) -> None:
        super().__init__(error)
        self.error = error


class ResultError(Exception):
    """The turn ends at once with this result."""

    def __init__(self, result: object) -> None:
        super().__init__(result)
        self.result = result


class Agent:
    """Reads requests on the main thread, runs each turn on a thread of its own."""

    def __init__(self) -> None:
        self.write_lock = threading.Lock()
        self.waiting: dict[int, Queue[Message]] = {}
        self.next_id = 1000
        self.sessions: dict[str, str] = {}
        self.cancelled: dict[str, threading.Event] = {}
        self.running: set[str] = set()
        self.broken = False
        self.prompt_id: object = None
        self.offers: Message = json.loads(os.environ.get("ACP_AGENT_OFFERS", "{}"))

    def send(self, message: Message) -> None:
        with self.write_lock:
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            sys.stdout.flush()

    def send_line(self, line: bytes) -> None:
        with self.write_lock:
            sys.stdout.flush()
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()

    def request(self, method: str, params: Message, id_: int | None = None) -> Message:
        if id_ is None:
            self.next_id += 1
            id_ = self.next_id
        answers: Queue[Message] = Queue()
        self.waiting[id_] = answers
        self.send({"id": id_, "method": method, "params": params})
        return answers.get()

    def note(self, what: str, **more: object) -> None:
        path = os.environ.get("ACP_AGENT_LOG")
        if path:
            line = json.dumps({"what": what, "pid": os.getpid(), **more}) + "\n"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, line.encode())
            os.close(descriptor)

    def run(self) -> None:
        self.note("start")
        for line in sys.stdin:
            if not line.strip():
                continue
            message = json.loads(line)
            method = message.get("method")
            if method is None:
                self.note("response", message=message)
                self.waiting.pop(message["id"], Queue()).put(message)
            elif "id" in message:
                self.note(method, params=message.get("params"))
                threading.Thread(target=self.answer, args=(message,), daemon=True).start()
            else:
                self.note(method, params=message.get("params"))
                if method == "session/cancel":
                    self.cancelled[message["params"]["sessionId"]].set()

    def answer(self, message: Message) -> None:
        handlers: dict[str, Callable[[Message], Message]] = {
            "initialize": self.initialize,
            "session/new": self.new_session,
            "session/load": self.load_session,
            "session/prompt": self.prompt,
            "session/set_config_option": self.set_option,
            "session/set_mode": self.set_mode,
            "_session/steering": self.steer,
        }
        handler = handlers.get(message["method"])
        if handler is None:
            self.send({"id": message["id"], "error": {"code": -32601, "message": "unknown method"}})
            return
        if message["method"] == "session/prompt":
            self.prompt_id = message["id"]
        elif message["method"] != "_session/steering":
            time.sleep(float(os.environ.get("ACP_AGENT_SLOW", "0")))
        try:
            self.send({"id": message["id"], "result": handler(message.get("params") or {})})
        except FailedError as failure:
            self.send({"id": message["id"], "error": failure.error})
        except ResultError as ended:
            self.send({"id": message["id"], "result": ended.result})

    def initialize(self, params: Message) -> Message:
        return {
            "protocolVersion": params.get("protocolVersion", 1),
            "agentCapabilities": {
                "loadSession": "ACP_AGENT_LOADS" in os.environ,
                "promptCapabilities": json.loads(os.environ.get("ACP_AGENT_TAKES", '{"image": true}')),
            },
            "agentInfo": {"name": "acp-agent", "version": "1"},
            "_meta": {"steering": {"supported": "ACP_AGENT_STEERS" in os.environ}},
            "authMethods": json.loads(os.environ.get("ACP_AGENT_AUTH", "[]")),
        }

    def load_session(self, params: Message) -> Message:
        self.refuse_login()
        self.open(params["sessionId"], params["cwd"])
        if os.environ["ACP_AGENT_LOADS"] == "first":
            threading.Thread(target=self.replay, args=(params["sessionId"], 0.1), daemon=True).start()
        else:
            self.replay(params["sessionId"])
        return self.told_offers(params["sessionId"])

    def replay(self, session: str, pause: float = 0) -> None:
        for number in range(4):
            time.sleep(pause)
            text = f"said before {number} "
            self.update(session, "agent_message_chunk", content={"type": "text", "text": text})

    def told_offers(self, session: str) -> Message:
        """What is offered, for the answer; with ACP_AGENT_OFFERS_LATER it is told after that."""
        gate = os.environ.get("ACP_AGENT_OFFERS_LATER")
        if gate is None:
            return dict(self.offers)
        threading.Thread(target=self.offer_late, args=(session, Path(gate)), daemon=True).start()
        return {}

    def offer_late(self, session: str, gate: Path) -> None:
        with gate.open() as opened:
            opened.read()
        self.update(session, "config_option_update", configOptions=self.offers["configOptions"])

    def refuse_login(self) -> None:
        """Want a login as long as the file named by ACP_AGENT_LOGIN is not there."""
        path = os.environ.get("ACP_AGENT_LOGIN")
        if path and not Path(path).exists():
            raise FailedError({"code": -32000, "message": "Authentication required", "data": {"agent": "pi"}})

    def open(self, id_: str, cwd: str) -> None:
        self.sessions[id_] = cwd
        self.cancelled[id_] = threading.Event()

    def new_session(self, params: Message) -> Message:
        if (os.environ.get("ACP_AGENT_NEW") or "").startswith("die"):
            self.die("no session for you")
        if os.environ.get("ACP_AGENT_NEW") == "latin":
            self.send_line(b'{"jsonrpc": "2.0", "id": 2, "result": {"sessionId": "\xff"}}')
            threading.Event().wait()
        self.refuse_login()
        id_ = f"s{os.getpid()}-{len(self.sessions) + 1}"
        self.open(id_, params["cwd"])
        if os.environ.get("ACP_AGENT_NEW") == "greets":
            self.update(id_, "agent_message_chunk", content={"type": "text", "text": "welcome"})
        return {"sessionId": id_, **self.told_offers(id_)}

    def set_option(self, params: Message) -> Message:
        if params["value"] == "refused":
            raise FailedError({"code": -32602, "message": "Invalid params", "data": {"message": "not on this account"}})
        for option in self.offers["configOptions"]:
            if option["id"] == params["configId"]:
                option["currentValue"] = params["value"]
        return {"configOptions": self.offers["configOptions"]}

    def set_mode(self, params: Message) -> Message:
        self.offers["modes"]["currentModeId"] = params["modeId"]
        return {}

    def die(self, text: str) -> None:
        sys.stderr.write(f"fatal: {text}\n")
        sys.stderr.flush()
        os._exit(3)

    def update(self, session: str, update: str, /, **fields: object) -> None:
        self.send(
            {
                "method": "session/update",
                "params": {"sessionId": session, "update": {"sessionUpdate": update, **fields}},
            }
        )

    def prompt(self, params: Message) -> Message:
        session = params["sessionId"]
        if session not in self.sessions:
            raise FailedError({"code": -32602, "message": f"no session {session}"})
        if self.broken:
            raise FailedError({"code": -32603, "message": "Internal error"})
        self.cancelled[session].clear()
        self.running.add(session)
        text = "".join(block.get("text", "") for block in params["prompt"])
        for number, line in enumerate(text.splitlines()):
            if self.cancelled[session].is_set():
                return {"stopReason": "cancelled"}
            verb, _, rest = line.partition(" ")
            self.step(session, f"{verb}-{number}", verb, rest)
        cancelled = self.cancelled[session].is_set()
        self.running.discard(session)
        return {"stopReason": "cancelled" if cancelled else "end_turn"}

    def steer(self, params: Message) -> Message:
        session, how = params["sessionId"], os.environ["ACP_AGENT_STEERS"]
        if how == "refuses":
            raise FailedError({"code": -32602, "message": "not now"})
        if session not in self.running:
            return {"outcome": "promptRequired", "reason": "noRunningTurn"}
        text = "".join(block.get("text", "") for block in params["prompt"])
        self.update(session, "agent_message_chunk", content={"type": "text", "text": f"heard: {text}"})
        if how != "yes":
            with Path(how).open() as gate:
                gate.read()
        return {"outcome": "injected"}

    def say_late(self, session: str, gate: Path, text: str) -> None:
        """Say each line of the text that `|` parts, once somebody has written to the gate."""
        with gate.open() as opened:
            opened.read()
        for number, line in enumerate(text.split("|")):
            verb, _, rest = line.partition(" ")
            self.step(session, f"{verb}-late-{number}", verb, rest)

    def step(self, session: str, key: str, verb: str, rest: str) -> None:
        cwd = Path(self.sessions[session])
        if verb == "say":
            for word in rest.split(" "):
                self.update(session, "agent_message_chunk", content={"type": "text", "text": word + " "})
        elif verb == "think":
            self.update(session, "agent_thought_chunk", content={"type": "text", "text": rest})
        elif verb == "plan":
            entries = [{"content": part, "priority": "high", "status": "pending"} for part in rest.split(",")]
            self.update(session, "plan", entries=entries)
        elif verb == "tool":
            self.update(session, "tool_call", toolCallId=key, title=rest, kind="execute", status="in_progress")
            output = [{"type": "content", "content": {"type": "text", "text": f"output of {rest}"}}]
            self.update(session, "tool_call_update", toolCallId=key, status="completed", content=output)
        elif verb in ("edit", "write"):
            name, _, content = rest.partition(" ")
            path = cwd / name
            old = path.read_text() if path.exists() else None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content + "\n")
            if verb == "edit":
                diff = [{"type": "diff", "path": str(path), "oldText": old, "newText": content + "\n"}]
                self.update(
                    session,
                    "tool_call",
                    toolCallId=key,
                    title=f"Edit {name}",
                    kind="edit",
                    status="completed",
                    content=diff,
                )
        elif verb == "ask":
            kind, _, title = rest.partition(" ")
            answer = self.request(
                "session/request_permission",
                {
                    "sessionId": session,
                    "toolCall": {"toolCallId": key, "title": title, "kind": kind},
                    "options": [
                        {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
                        {"optionId": "no", "name": "Reject", "kind": "reject_once"},
                    ],
                },
            )
            outcome = (answer.get("result") or {}).get("outcome") or {}
            said = outcome.get("optionId") or outcome.get("outcome") or answer.get("error")
            self.update(session, "agent_message_chunk", content={"type": "text", "text": f"answer: {said}"})
        elif verb == "call":
            answer = self.request(rest, {"sessionId": session})
            code = (answer.get("error") or {}).get("code")
            self.update(session, "agent_message_chunk", content={"type": "text", "text": f"{rest}: {code}"})
        elif verb == "wait":
            # Opening a FIFO for reading returns when the other side opens it for writing.
            with Path(rest).open() as gate:
                gate.read()
        elif verb == "pause":
            self.cancelled[session].wait()
        elif verb == "die":
            self.die(rest)
        elif verb == "fail":
            raise FailedError({"code": -32000, "message": rest})
        elif verb == "error":
            raise FailedError(json.loads(rest))
        elif verb == "fail-unless":
            name, _, error = rest.partition(" ")
            if not Path(name).exists():
                raise FailedError(json.loads(error))
        elif verb == "result":
            raise ResultError(json.loads(rest))
        elif verb == "broken":
            self.broken = True
            raise FailedError({"code": -32603, "message": "Internal error", "data": {"details": "process exited"}})
        elif verb == "chunk":
            message_id, _, text = rest.partition(" ")
            self.update(session, "agent_message_chunk", messageId=message_id, content={"type": "text", "text": text})
        elif verb == "update":
            self.send({"method": "session/update", "params": {"sessionId": session, "update": json.loads(rest)}})
        elif verb in ("request", "request-as-7", "request-in-silence"):
            id_ = 7 if verb == "request-as-7" else None
            answer = self.request("session/request_permission", {"sessionId": session, **json.loads(rest)}, id_)
            if verb == "request-in-silence":
                return
            said = json.dumps((answer.get("result") or {}).get("outcome"))
            self.update(session, "agent_message_chunk", content={"type": "text", "text": f"outcome: {said}"})
        elif verb in ("elicit", "elicit-soon-over"):
            params = {"sessionId": session, **json.loads(rest)}
            if verb == "elicit-soon-over":
                over = {"method": "elicitation/complete", "params": {"elicitationId": params["elicitationId"]}}
                threading.Thread(target=self.send, args=(over,)).start()
            answer = self.request("elicitation/create", params)
            said = json.dumps(answer.get("result"), sort_keys=True)
            self.update(session, "agent_message_chunk", content={"type": "text", "text": f"elicited: {said}"})
        elif verb == "late":
            name, _, text = rest.partition(" ")
            threading.Thread(target=self.say_late, args=(session, Path(name), text), daemon=True).start()
        elif verb == "raw":
            self.send_line(rest.replace("{id}", json.dumps(self.prompt_id)).encode())
        elif verb == "latin":
            self.send_line(rest.encode("latin-1"))
        elif verb == "mute":
            threading.Event().wait()
        elif verb == "tools":
            count, _, size = rest.partition(" ")
            output = [{"type": "content", "content": {"type": "text", "text": "x" * int(size or 0)}}]
            for number in range(int(count)):
                if self.cancelled[session].is_set():
                    return
                call = {"toolCallId": f"{key}-{number}", "title": f"Tool {number}", "kind": "execute"}
                self.update(session, "tool_call", **call, status="in_progress")
                self.update(
                    session, "tool_call_update", toolCallId=call["toolCallId"], status="completed", content=output
                )
        elif verb == "flood":
            for number in range(int(rest)):
                self.update(session, "agent_message_chunk", content={"type": "text", "text": f"{number} "})
        else:
            self.update(session, "agent_message_chunk", content={"type": "text", "text": f"{verb} {rest}".strip()})


if __name__ == "__main__":
    Agent().run()
