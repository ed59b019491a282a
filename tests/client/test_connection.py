"""Addresses, calls and imports: what is named, what is said when it fails, and what it costs to load."""

import subprocess
import sys

import anyio
import httpx
import pytest

from foundry_tui.client.api import Api
from foundry_tui.client.connection import Target, make_http
from foundry_tui.client.errors import ProblemError, RequestError, UnreachableError
from foundry_tui.contract.requests import CreateTask, ReleaseTask
from tests.client.loop import simulate
from tests.client.transport import Backend


@pytest.mark.parametrize(
    ("text", "base_url", "uds"),
    [
        ("unix:/run/f/b.sock", "http://localhost", "/run/f/b.sock"),
        ("127.0.0.1:7000", "http://127.0.0.1:7000", None),
        ("[::1]:7000", "http://[::1]:7000", None),
        ("http://localhost:7000/", "http://localhost:7000", None),
        ("https://foundry.example.org", "https://foundry.example.org", None),
    ],
)
def test_addresses(text: str, base_url: str, uds: str | None) -> None:
    target = Target.parse(text, token="secret")
    assert (target.base_url, target.uds, target.token) == (base_url, uds, "secret")
    assert "secret" not in f"{target} {target!r}"


@pytest.mark.parametrize(
    "text", ["", "unix:", "localhost", "host:port", ":80", "http://", "host:99999", "http://a..b:80", "a\0b:80"]
)
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="unix:"):
        Target.parse(text)


@pytest.mark.parametrize("text", ["https://me:hush@h:1", "me:hush@h:1", "http://h:1/?token=hush", "hush@h", "h:1#hush"])
def test_a_secret_in_an_address_is_refused_and_not_said_again(text: str) -> None:
    with pytest.raises(ValueError, match="--token-file") as refused:
        Target.parse(text)
    assert "hush" not in str(refused.value)


class Answer(httpx.AsyncBaseTransport):
    """Answers everything in one way."""

    def __init__(self, answer: httpx.Response | httpx.HTTPError) -> None:
        self.answer = answer
        self.paths: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.raw_path)
        if isinstance(self.answer, httpx.HTTPError):
            raise self.answer
        return self.answer


def failure(answer: httpx.Response | httpx.HTTPError) -> RequestError:
    async def main() -> RequestError:
        async with make_http(Target("http://localhost"), Answer(answer)) as http:
            with pytest.raises((ProblemError, UnreachableError)) as caught:
                await Api(http).create(CreateTask(repo="/r", prompt="p"))
            found = caught.value
            assert isinstance(found, RequestError)
            return found

    return simulate(main)


def test_a_refusal_is_told_from_no_answer() -> None:
    refused = failure(httpx.Response(422, json={"status": 422, "title": "Wrong", "detail": "no such branch"}))
    assert isinstance(refused, ProblemError)
    assert str(refused) == "no such branch"
    page = failure(httpx.Response(502, content=b"<html>Bad gateway"))
    assert isinstance(page, ProblemError)
    assert page.problem.status == 502
    nonsense = failure(httpx.Response(201, content=b"{}"))
    assert isinstance(nonsense, ProblemError)
    nobody, lost = failure(httpx.ConnectError("")), failure(httpx.ReadError(""))
    assert isinstance(nobody, UnreachableError)
    assert isinstance(lost, UnreachableError)
    assert not nobody.sent
    assert lost.sent
    assert str(nobody)
    assert str(lost)


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>Log in to this network"])
def test_what_a_page_answers_with_200_was_not_done(content: bytes) -> None:
    async def main() -> None:
        async with make_http(Target("http://localhost"), Answer(httpx.Response(200, content=content))) as http:
            api = Api(http)
            for order in (
                api.retry("t"),
                api.archive("t", ReleaseTask()),
                api.kill("t", ReleaseTask()),
                api.prune("t"),
                api.stop("s"),
                api.go_on("s"),
                api.close_session("s"),
            ):
                with pytest.raises(ProblemError) as caught:
                    await order
                assert caught.value.problem.status == 502, "it is tried again"

    simulate(main)


def test_an_id_is_one_part_of_a_path_whatever_a_person_typed() -> None:
    transport = Answer(httpx.Response(404, content=b""))

    async def main() -> None:
        async with make_http(Target("http://localhost"), transport) as http:
            with pytest.raises(ProblemError):
                await Api(http).task("../repos?x=#é")

    simulate(main)
    assert transport.paths == [b"/v1/tasks/..%2Frepos%3Fx%3D%23%C3%A9"]


def test_no_proxy_of_the_environment_stands_between_this_machine_and_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.org:1")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example.org:1")

    async def main() -> None:
        async with make_http(Target.parse("127.0.0.1:1")) as http:
            with pytest.raises(UnreachableError, match="nobody answers"):
                await Api(http).health()

    anyio.run(main)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("foundry_tui.client", "msgspec"),
        ("foundry_tui.client.connection", "httpx"),
        ("foundry_tui.client.store", "httpx"),
        ("foundry_tui.client.store", "anyio"),
        ("foundry_tui.client.commands", "httpx"),
        ("foundry_tui.client.foundry", "httpx_sse"),
        ("foundry_tui.client.sse", "httpx"),
        ("foundry_tui.client.foundry", "textual"),
    ],
)
def test_a_module_brings_only_what_it_needs(module: str, absent: str) -> None:
    check = f"import sys, {module}; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_the_simulated_backend_speaks_as_the_world_does() -> None:
    async def main() -> None:
        backend = Backend()
        async with make_http(Target("http://localhost"), backend) as http:
            task = await Api(http).create(CreateTask(repo="/r", prompt="p", task_id="t", session_id="s"))
        assert task == backend.world.detail("t")

    simulate(main)
