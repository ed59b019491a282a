"""A backend that other machines may reach: allowed by name, over TLS or when told to do without; and who trusts it."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import httpx
import pytest
import trustme

from foundry_tui.cli.startup.prefetch import PrefetchedSnapshot
from foundry_tui.client.connection import Target
from foundry_tui.client.foundry import Foundry
from foundry_tui.client.freshness import FreshnessState
from foundry_tui.client.store import Store
from foundry_tui.client.tls import trust
from foundry_tui.contract.events import TASKS
from tests.cli.command_line import Cli, serve

TOKEN = "quite-5ecret"
NAME = "foundry.example.org"


class Place:
    """A folder with a token, an authority of our own, and certificates that it signed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = folder / "token"
        self.token.write_text(TOKEN + "\n")
        self._authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.ca)

    def certificate(self, *names: str, not_after: datetime | None = None) -> Path:
        """A file with a certificate for these names, its chain and its key."""
        made = self._authority.issue_cert(*names, not_after=not_after)
        file = self.folder / f"{names[0]}.pem"
        made.private_key_and_cert_chain_pem.write_to_path(file)
        return file


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@contextmanager
def serving(cli: Cli, place: Place, *words: str, listen: str = "127.0.0.1:0") -> Iterator[str]:
    """A backend on TCP; HOST:PORT under which it is reached from here."""
    process, line = serve(cli, "--listen", listen, "--token-file", str(place.token), *words)
    try:
        yield str(line["listening"]).replace("0.0.0.0", "127.0.0.1")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--allow-remote"),
        (("--insecure",), "--allow-remote"),
        (("--tls-cert", "{cert}"), "--allow-remote"),
        (("--allow-remote", NAME), "--tls-cert and --tls-key, or say --insecure"),
        (("--allow-remote", f"https://{NAME}", "--insecure"), f"'https://{NAME}' is no host name"),
        (("--allow-remote", f"{NAME}:443", "--insecure"), f"'{NAME}:443' is no host name"),
        (("--allow-remote", "*", "--insecure"), "'*' is no host name"),
        (("--allow-remote", NAME, "--tls-cert", "{folder}/none.pem"), "{folder}/none.pem cannot be used"),
        (("--allow-remote", NAME, "--tls-cert", "{cert}", "--tls-key", "{folder}"), "{folder} cannot be read"),
        (("--allow-remote", NAME, "--tls-cert", "{ca}"), "{ca} and its key"),
        (("--allow-remote", NAME, "--tls-cert", "{ca}", "--tls-key", "{cert}"), "{ca} and the key {cert}"),
        (("--allow-remote", NAME, "--insecure", "--tls-key", "{cert}"), "the key {cert} needs its certificate"),
        (("--listen", "unix:{folder}/s", "--tls-cert", "{cert}"), "unix:{folder}/s has no use for TLS"),
    ],
)
def test_other_machines_only_by_name_and_by_tls_or_a_word(
    cli: Cli, place: Place, words: tuple[str, ...], said: str
) -> None:
    named = {"cert": place.certificate("localhost"), "ca": place.ca, "folder": place.folder}
    given = [word.format_map(named) for word in words]
    done = cli("backend", "serve", "--listen", "0.0.0.0:0", "--token-file", str(place.token), *given, code=1)
    assert said.format_map(named) in done.err
    assert len(done.err.splitlines()) == 1
    assert done.out == ""


def test_a_key_with_a_passphrase_is_refused_and_asks_nobody(cli: Cli, place: Place) -> None:
    cert, key = place.certificate("localhost"), place.folder / "locked.pem"
    locked = ("openssl", "pkey", "-in", str(cert), "-aes128", "-passout", "pass:word", "-out", str(key))
    subprocess.run(locked, check=True, capture_output=True)
    words = ("--listen", "127.0.0.1:0", "--token-file", str(place.token))
    assert "passphrase" in cli("backend", "serve", *words, "--tls-cert", str(cert), "--tls-key", str(key), code=1).err


def test_it_answers_under_the_names_that_were_given_and_those_of_loopback(cli: Cli, place: Place) -> None:
    allowed = ("--insecure", "--allow-remote", NAME, "--allow-remote", "192.0.2.7", "--allow-remote", "[2001:DB8::1]")
    with serving(cli, place, *allowed, listen="0.0.0.0:0") as address:

        def status(**headers: str) -> int:
            given = {"authorization": f"Bearer {TOKEN}", **headers}
            return httpx.get(f"http://{address}/v1/health", headers=given, trust_env=False).status_code

        for host in (NAME, f"{NAME.upper()}:8420", "192.0.2.7", "[2001:db8::1]:1", "localhost", "127.0.0.1", "[::1]"):
            assert status(host=host) == 200, host
        for host in ("example.org", f"{NAME}.evil", f"x.{NAME}", "192.0.2.8", "2001:db8::1", ""):
            assert status(host=host) == 403, host
        assert status(host=NAME, origin=f"https://{NAME}") == 200
        assert status(host=NAME, origin="https://evil.example") == 403
        assert status(host=NAME, authorization="Bearer x") == 401


def test_behind_a_proxy_a_name_is_all_that_is_needed(cli: Cli, place: Place) -> None:
    with serving(cli, place, "--allow-remote", NAME) as address:
        headers = {"authorization": f"Bearer {TOKEN}", "host": NAME}
        assert httpx.get(f"http://{address}/v1/health", headers=headers, trust_env=False).status_code == 200


def test_every_command_speaks_tls(cli: Cli, place: Place) -> None:
    cert = place.certificate("localhost", "127.0.0.1")
    words = ("--tls-cert", str(cert), "--allow-remote", NAME)
    with serving(cli, place, *words, listen="0.0.0.0:0") as address:
        flags = ("--backend", f"https://{address}", "--token-file", str(place.token), "--ca-file", str(place.ca))
        followed = cli(*flags, "create", "over the wire", "--follow", "--json", code=0)
        assert [json.loads(line) for line in followed.out.splitlines()]
        named = {
            "FOUNDRY_BACKEND": f"https://localhost:{address.rpartition(':')[2]}/",
            "FOUNDRY_TOKEN_FILE": str(place.token),
            "FOUNDRY_CA_FILE": str(place.ca),
        }
        (row,) = cli("list", environ=named, code=0).rows
        cli("watch", row[0], "--for", "idle", environ=named, code=0)
        assert cli("statusline", environ=named, code=0).out == "1●\n"
        assert cli("status", "--json", environ=named, code=0).json["tasks"] == 1
        backend = next(row for row in cli("doctor", environ=named, code=0).rows if row[0] == "backend")
        assert backend[1] == "ok"
        assert cli("backend", "status", "--json", environ=named, code=0).json["running"] is True
        assert not cli.socket.exists()


def test_a_certificate_that_is_not_trusted_is_exit_6_and_says_why(cli: Cli, place: Place) -> None:
    token = {"FOUNDRY_TOKEN_FILE": str(place.token)}
    trusted = {**token, "FOUNDRY_CA_FILE": str(place.ca)}
    with serving(cli, place, "--tls-cert", str(place.certificate("localhost"))) as address:
        port = address.rpartition(":")[2]
        unknown = cli("list", environ={**token, "FOUNDRY_BACKEND": f"https://localhost:{port}"}, code=6)
        assert "not trusted" in unknown.err
        assert "--ca-file" in unknown.err
        assert (
            "FOUNDRY_CA_FILE"
            in cli("doctor", environ={**token, "FOUNDRY_BACKEND": f"https://localhost:{port}"}, code=1).out
        )
        misnamed = cli("list", environ={**trusted, "FOUNDRY_BACKEND": f"https://{address}"}, code=6)
        assert "127.0.0.1" in misnamed.err
        assert "as its certificate does" in misnamed.err
        plain = cli("list", environ={**token, "FOUNDRY_BACKEND": address}, code=6)
        assert f"https://{address}" in plain.err
        line = cli("statusline", environ={**token, "FOUNDRY_BACKEND": address}, code=0)
        assert line.out == "foundry answers strangely\n"
    old = place.certificate("localhost", not_after=datetime(2020, 1, 2, tzinfo=UTC))
    with serving(cli, place, "--tls-cert", str(old)) as address:
        backend = f"https://localhost:{address.rpartition(':')[2]}"
        expired = cli("list", environ={**trusted, "FOUNDRY_BACKEND": backend}, code=6)
        assert "expired" in expired.err
    with serving(cli, place) as address:
        plain = cli("list", environ={**trusted, "FOUNDRY_BACKEND": f"https://{address}"}, code=6)
        assert "no TLS" in plain.err
        assert "http://" in plain.err


def test_a_file_of_authorities_that_holds_none_is_named(cli: Cli, place: Place) -> None:
    for file in (place.token, place.folder, place.folder / "none"):
        done = cli("list", environ={"FOUNDRY_BACKEND": "https://localhost:1", "FOUNDRY_CA_FILE": str(file)}, code=2)
        assert str(file) in done.err


def test_our_own_backend_is_known_by_its_certificate_whatever_names_it_has(cli: Cli, place: Place) -> None:
    port = free_port()
    cli.environ |= {
        "FOUNDRY_LISTEN": f"0.0.0.0:{port}",
        "FOUNDRY_TOKEN_FILE": str(place.token),
        "FOUNDRY_ALLOW_REMOTE": f"{NAME},other.example.org",
        "FOUNDRY_TLS_CERT": str(place.certificate(NAME)),
    }
    assert cli("list", code=0).out == ""
    assert cli("backend", "status", "--json", code=0).json["listening"] == f"0.0.0.0:{port}"
    # another certificate of the same authority is not ours
    cli.environ["FOUNDRY_TLS_CERT"] = str(place.certificate("localhost"))
    assert "not trusted" in cli("backend", "status", code=6).err
    cli.environ["FOUNDRY_TLS_CERT"] = str(place.folder / f"{NAME}.pem")
    assert cli("backend", "stop", "--json", code=0).json["stopped"] is True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_stream_over_tls_ends_in_good_order_when_it_stops(cli: Cli, place: Place) -> None:
    cert = place.certificate("localhost")
    words = ("--listen", "127.0.0.1:0", "--token-file", str(place.token), "--tls-cert", str(cert))
    process, line = serve(cli, *words)
    url = f"https://localhost:{str(line['listening']).rpartition(':')[2]}"
    headers = {"authorization": f"Bearer {TOKEN}"}
    with (
        httpx.Client(verify=trust(str(place.ca), pinned=False), trust_env=False) as http,
        http.stream("GET", f"{url}/v1/events?topic=tasks", headers=headers) as stream,
    ):
        pieces = stream.iter_raw()
        assert b"snapshot" in next(pieces)
        process.send_signal(signal.SIGTERM)
        # one that was cut would raise
        assert b"".join(pieces).strip() == b""
    process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.anyio
async def test_the_apps_client_speaks_tls_and_says_why_it_cannot(cli: Cli, place: Place) -> None:
    def started() -> tuple[subprocess.Popen[str], str]:
        words = ("--listen", "127.0.0.1:0", "--token-file", str(place.token))
        process, line = serve(cli, *words, "--tls-cert", str(place.certificate("localhost")))
        return process, f"https://localhost:{str(line['listening']).rpartition(':')[2]}"

    process, url = await anyio.to_thread.run_sync(started)
    try:
        target = Target(url, token=TOKEN, ca_file=str(place.ca))
        # the early snapshot is for plain connections: it leaves this one to the client
        assert not await PrefetchedSnapshot(target).apply(Store())
        live = await freshness(target, FreshnessState.LIVE)
        assert live == FreshnessState.LIVE
        reason = await freshness(Target(url, token=TOKEN), FreshnessState.OFFLINE)
        assert "not trusted" in reason
    finally:
        process.send_signal(signal.SIGTERM)
        await anyio.to_thread.run_sync(process.communicate)


async def freshness(target: Target, wanted: FreshnessState) -> str:
    """Connect until the list is as wanted; the reason that is given, or the state where there is none."""
    foundry = Foundry(target, keep=None)
    told = anyio.Event()
    foundry.store.listen(lambda _: told.set())
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            await group.start(foundry.run)
            release = foundry.commands.hold(TASKS)
            while (now := foundry.store.freshness()).state is not wanted:
                foundry.commands.reconnect()
                await told.wait()
                told = anyio.Event()
            release()
            group.cancel_scope.cancel()
    return now.reason or now.state
