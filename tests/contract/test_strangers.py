"""Who may not talk to the backend, and what must never be told: strangers, names that look like commands, secrets."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.backend.process import BackendProcess
from tests.contract.checks import creating, refused
from tests.git import make_repository
from tests.world import Json

TOKEN = "tok-" + "5ecret" * 6
ROUTES = [
    *(("GET", path) for path in ("/v1/tasks", "/v1/health", "/v1/metrics", "/v1/history", "/v1/repos", "/nope", "/")),
    *(("GET", path) for path in ("/v1/events?topic=tasks", "/v1/tasks/x", "/v1/sessions/x", "/v1/repos/x/branches")),
    *(("POST", path) for path in ("/v1/tasks", "/v1/repos", "/v1/tasks/x/kill", "/v1/sessions/x/prompts")),
    ("PATCH", "/v1/sessions/x/prompts/y"),
    *(("DELETE", path) for path in ("/v1/tasks/x", "/v1/sessions/x", "/v1/sessions/x/prompts/y")),
    *(("OPTIONS", "/v1/tasks"), ("HEAD", "/v1/health"), ("FOO", "/v1/tasks"), ("PATCH", "/v1/tasks/x")),
]


class TcpBackend:
    """A backend that listens on loopback and wants `TOKEN`."""

    def __init__(self, folder: Path, *prefix: str) -> None:
        self.log = folder / "log"
        token = folder / "token"
        token.write_text(TOKEN + "\n")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *(*prefix, sys.executable, "-m", "backend_stub", "--data-dir", str(folder / "data")),
                    *("--listen", "127.0.0.1:0", "--token-file", str(token)),
                ],
                env={**os.environ, "FOUNDRY_PROVIDER": "demo"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.address = str(json.loads(self.process.stdout.readline())["listening"])
        self.http = httpx.Client(base_url=f"http://{self.address}", timeout=20, trust_env=False)

    def ask(self, method: str = "GET", path: str = "/v1/health", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, path, headers=named)

    def close(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="module")
def tcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TcpBackend]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("FOUNDRY_"):
                patch.delenv(name)
        backend = TcpBackend(tmp_path_factory.mktemp("tcp"))
        try:
            yield backend
        finally:
            backend.close()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_wants_the_token(tcp: TcpBackend, method: str, path: str) -> None:
    answer = tcp.ask(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    if method != "HEAD":
        refused(answer, 401)


@pytest.mark.parametrize(
    "given",
    [
        *("", "Bearer", TOKEN, f"Basic {TOKEN}", "Bearer " + "x" * 10_000),
        *(f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Bearer x {TOKEN}", f"Bearer {TOKEN.upper()}"),
        f"Bearer \xe9{TOKEN}",
    ],
)
def test_a_wrong_token_is_none(tcp: TcpBackend, given: str) -> None:
    answer = tcp.http.request("GET", "/v1/health", headers=[(b"authorization", given.encode("latin-1"))])
    assert TOKEN not in str(refused(answer, 401))


def test_the_right_token_opens(tcp: TcpBackend) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert tcp.ask(authorization=f"{scheme} {TOKEN}").status_code == 200
    refused(tcp.ask(path=f"/v1/health/{TOKEN}"), 401)
    refused(tcp.ask(path=f"/v1/health?token={TOKEN}"), 401)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil", "", "[", "a b"),
        *("evil@127.0.0.1", "127.0.0.1/evil", "127.0.0.1#@evil", "127.0.0.1?x", "127.0.0.1:x", "127.0.0.1, evil"),
        *("127.0.0.1.", "[::1", "::1", "[::1]evil", "0x7f.1", "127.1", "\xe9"),
    ],
)
def test_another_host_name_is_forbidden(tcp: TcpBackend, host: str) -> None:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"host", host.encode("latin-1"))]
    refused(tcp.http.request("GET", "/v1/health", headers=headers), 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:80"])
def test_loopback_by_any_of_its_names_is_ours(tcp: TcpBackend, host: str) -> None:
    assert tcp.ask(authorization=f"Bearer {TOKEN}", host=host).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "http://127.0.0.1.evil.example", "http://localhost", "http://127.0.0.1:1"),
        *("null", "", "http://[", "x", "file://"),
    ],
)
def test_a_web_page_of_another_origin_is_forbidden(tcp: TcpBackend, origin: str) -> None:
    refused(tcp.ask(authorization=f"Bearer {TOKEN}", origin=origin), 403)


def test_every_origin_counts(tcp: TcpBackend, shared: BackendProcess) -> None:
    ours, other = f"http://{tcp.address}", "https://evil.example"
    for origins in ((other, ours), (ours, other), (ours, "null"), (ours, other.upper()), ("", ours)):
        headers = [("authorization", f"Bearer {TOKEN}"), *(("origin", origin) for origin in origins)]
        refused(tcp.http.get("/v1/health", headers=headers), 403)
        refused(shared.http.get("/v1/health", headers=headers[1:]), 403)


def test_two_tokens_are_none(tcp: TcpBackend) -> None:
    for given in ((TOKEN, "wrong"), ("wrong", TOKEN), (TOKEN, TOKEN)):
        refused(tcp.http.get("/v1/health", headers=[("authorization", f"Bearer {each}") for each in given]), 401)


def test_our_own_origin_is_not_another(tcp: TcpBackend) -> None:
    assert tcp.ask(authorization=f"Bearer {TOKEN}", origin=f"http://{tcp.address}").status_code == 200


def test_no_web_page_talks_over_the_unix_socket(shared: BackendProcess) -> None:
    for origin in ("https://evil.example", "null", "http://foundry", ""):
        answer = shared.http.post("/v1/tasks", json=creating(shared), headers={"origin": origin})
        refused(answer, 403)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_another_user_cannot_reach_the_socket(shared: BackendProcess) -> None:
    program = (
        "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); "
        "print(os.path.exists(sys.argv[1])); socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    )
    shared.socket.parent.chmod(0o755)  # so that it is the socket's own permissions that refuse
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, str(shared.socket)], capture_output=True, text=True, check=False
        )
    finally:
        shared.socket.parent.chmod(0o700)
    assert done.stdout == "True\n", "the other user sees the socket"
    assert "PermissionError" in done.stderr
    assert shared.get("/v1/health")["status"] == "ok"


def test_names_that_look_like_options_or_commands_run_nothing(shared: BackendProcess, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    names = [f"$(touch${{IFS}}{mark})", f"`touch {mark}`", "$(id)", ";id", "|id", "&&id", "a'b", 'a"b', "#x", "{a,b}"]
    for name in names:
        answer = shared.http.post("/v1/tasks", json=creating(shared, branch=name, title=name, prompt=name))
        if answer.status_code == 422:
            assert {error["field"] for error in refused(answer, 422)["errors"]} == {"branch"}
            continue
        task = shared.wait_task(answer.json()["task_id"], "idle")
        assert (task["branch"], task["title"], task["prompt"]) == (name, name, name)
    [unknown] = refused(shared.http.post("/v1/tasks", json=creating(shared, agent="$(id)")), 422)["errors"]
    assert unknown["field"] == "agent"
    assert shared.http.post("/v1/tasks", json=creating(shared, branch="-x")).status_code == 422
    assert shared.http.post("/v1/tasks", json=creating(shared, branch="$(id)")).status_code == 422, "taken by now"
    assert not mark.exists()


def test_a_repository_whose_name_looks_like_a_command(shared: BackendProcess, tmp_path: Path) -> None:
    for name in ("-x", "$(touch ran)", "--upload-pack=id", "a;b", "new\nline"):
        make_repository(tmp_path / name)
        task = shared.create(repo=str(tmp_path / name))
        assert shared.wait_task(task["task_id"], "idle")["repo_label"] == name
    assert not list(tmp_path.rglob("ran"))


def test_the_token_is_told_nowhere(tcp: TcpBackend, tmp_path: Path) -> None:
    allowed = {"authorization": f"Bearer {TOKEN}"}
    make_repository(tmp_path / "repo")
    told = [
        tcp.http.get(path, headers=allowed).text
        for path in ("/v1/health", "/v1/metrics", "/v1/tasks", "/v1/history", "/v1/repos", "/v1/tasks/none")
    ]
    tcp.http.get(f"/v1/{TOKEN}", headers=allowed)
    tcp.http.get(f"/v1/tasks?token={TOKEN}", headers=allowed)
    tcp.http.get("/v1/health", headers={"authorization": f"Bearer {TOKEN}x"})
    body: Json = {"repo": str(tmp_path / "repo"), "prompt": "x"}
    task = tcp.http.post("/v1/tasks", json=body, headers=allowed).json()
    told.append(json.dumps(task))
    with tcp.http.stream("GET", f"/v1/events?topic=task:{task['task_id']}", headers=allowed) as answer:
        for text in answer.iter_text():
            told.append(text)
            if "task.idle" in text:
                break
    host, _, port = tcp.address.partition(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(f"NONSENSE {TOKEN}\r\n\r\n".encode())
        told.append(raw.recv(65_536).decode())
    told.append(tcp.log.read_text())
    told.append(Path(f"/proc/{tcp.process.pid}/cmdline").read_text() if Path("/proc").is_dir() else "")
    assert all(TOKEN not in text for text in told)


def test_passwords_in_urls_are_told_nowhere(backend: BackendProcess) -> None:
    for url in ("https://me:hush-hush@host/x.git", "ssh://me:hush-hush@host/x", "https://hush-hush@host/x"):
        answer = backend.http.post("/v1/repos", json={"remote": url})
        again = backend.http.post("/v1/tasks", json={"repo": url, "prompt": "x"})
        assert "hush-hush" not in answer.text + again.text
    assert "hush-hush" not in str(backend.get("/v1/tasks"))
    assert "hush-hush" not in backend.errors.read_text()
    for file in backend.data.rglob("*"):
        if file.is_file():
            assert b"hush-hush" not in file.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit and /proc")
def test_a_flood_of_strangers_keeps_nobody_out_and_the_log_short(tmp_path: Path) -> None:
    backend = TcpBackend(tmp_path, "prlimit", "--nofile=256:256")
    host, _, port = backend.address.partition(":")
    allowed = {"authorization": f"Bearer {TOKEN}"}
    beginnings = (b"", b"GET /v1/tasks HTTP/1.1\r\nhost: a", b"POST /v1/tasks HTTP/1.1\r\ncontent-length: 9\r\n\r\n")
    flood: list[socket.socket] = []
    try:
        with backend.http.stream("GET", "/v1/events?topic=tasks", headers=allowed) as stream:
            assert next(stream.iter_raw())
            for number in range(600):
                flood.append(socket.create_connection((host, int(port))))
                flood[-1].sendall(beginnings[number % 3])
                if number % 20 == 0:
                    with httpx.Client(base_url=f"http://{backend.address}", timeout=20, trust_env=False) as fresh:
                        assert fresh.get("/v1/health", headers=allowed).status_code == 200
                        refused(fresh.get("/v1/health"), 401)
                        refused(fresh.get("/v1/health", headers={"host": "evil", **allowed}), 403)
            held = len(list(Path(f"/proc/{backend.process.pid}/fd").iterdir()))
            assert held < 128, "well below the limit"
            make_repository(tmp_path / "repo")
            body = {"repo": str(tmp_path / "repo"), "prompt": "x"}
            assert backend.http.post("/v1/tasks", json=body, headers=allowed).status_code == 201
        lines = [json.loads(line) for line in backend.log.read_text().splitlines()]
        strangers = [line for line in lines if line["logger"] == "backend_stub.server.strangers"]
        assert strangers
        assert len(strangers) == len({line["message"] for line in strangers})
        assert not [line for line in lines if line["level"] == "error"]
        assert len(lines) < 80
    finally:
        for each in flood:
            each.close()
        backend.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")
def test_more_connections_than_descriptors_are_turned_away_and_nothing_fails(tmp_path: Path) -> None:
    backend = TcpBackend(tmp_path, "prlimit", "--nofile=128:128")
    allowed = {"authorization": f"Bearer {TOKEN}"}
    host, _, port = backend.address.partition(":")
    asking = f"GET /v1/health HTTP/1.1\r\nhost: {backend.address}\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    flood: list[socket.socket] = []
    try:
        backend.http.get("/v1/health", headers=allowed)
        for _ in range(200):
            flood.append(socket.create_connection((host, int(port))))
            flood[-1].settimeout(20)
            flood[-1].sendall(asking.encode())
        answered = 0
        for each in flood:
            try:
                answered += each.recv(65_536).startswith(b"HTTP/1.1 200")
            except ConnectionError:
                continue
        assert 0 < answered < 128
        make_repository(tmp_path / "repo")
        body = {"repo": str(tmp_path / "repo"), "prompt": "x"}
        task = backend.http.post("/v1/tasks", json=body, headers=allowed)
        assert task.status_code == 201, "what a request needs itself is kept free"
        for each in flood:
            each.close()
        with httpx.Client(base_url=f"http://{backend.address}", timeout=20, trust_env=False) as fresh:
            assert fresh.get("/v1/health", headers=allowed).status_code == 200
        assert "Traceback" not in backend.log.read_text()
    finally:
        for each in flood:
            each.close()
        backend.close()


def test_a_stop_waits_for_no_stranger_and_for_no_slow_sender(tmp_path: Path) -> None:
    backend = TcpBackend(tmp_path)
    host, _, port = backend.address.partition(":")
    known = f"host: {backend.address}\r\nauthorization: Bearer {TOKEN}\r\n"
    beginnings = (
        "",
        "GET /v1/tas",
        f"POST /v1/tasks HTTP/1.1\r\n{known}content-length: 500\r\n\r\n{{",
        f"POST /v1/tasks HTTP/1.1\r\n{known}transfer-encoding: chunked\r\n\r\n1\r\n{{\r\n",
        f"GET /v1/events?topic=tasks HTTP/1.1\r\n{known}\r\n",
        f"GET /v1/health HTTP/1.1\r\n{known}\r\n",
    )
    held: list[socket.socket] = []
    try:
        for beginning in beginnings * 5:
            held.append(socket.create_connection((host, int(port))))
            held[-1].sendall(beginning.encode())
        assert backend.ask(authorization=f"Bearer {TOKEN}").status_code == 200
        backend.process.terminate()
        assert backend.process.wait(10) == 0
    finally:
        for each in held:
            each.close()
        backend.close()
