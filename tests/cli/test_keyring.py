"""A remote backend's token in the keyring: a real one in a file, filled by the library's own command."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Cli, serve

FILE_KEYRING = "keyrings.alt.file.PlaintextKeyring"
NO_KEYRING = "keyring.backends.fail.Keyring"


@pytest.fixture
def remote(cli: Cli, tmp_path: Path) -> Iterator[str]:
    """A world whose keyring is a file, and a backend that wants the token `s3cret-word`."""
    token = tmp_path / "token"
    token.write_text("s3cret-word")
    process, line = serve(cli, "--listen", "127.0.0.1:0", "--token-file", str(token))
    cli.environ |= {"PYTHON_KEYRING_BACKEND": FILE_KEYRING, "FOUNDRY_BACKEND": str(line["listening"])}
    yield str(line["listening"])
    process.terminate()
    process.communicate(timeout=10)


def put(cli: Cli, entry: str, token: str) -> None:
    """`keyring set foundry ENTRY`, as our own errors advise it."""
    subprocess.run(
        [Path(sys.executable).parent / "keyring", "set", "foundry", entry],
        env=cli.environ,
        input=token,
        text=True,
        check=True,
        capture_output=True,
    )


def test_the_token_is_read_where_an_entry_is_named(cli: Cli, remote: str, tmp_path: Path) -> None:
    put(cli, "work", "s3cret-word\n")
    assert "token" in cli("list", code=1).err
    cli("list", environ={"FOUNDRY_TOKEN_KEYRING": "work"}, code=0)
    cli("--token-keyring", "work", "list", code=0)
    file = Path(cli("config", "path").out.strip())
    file.parent.mkdir(parents=True)
    file.write_text(f'[backend]\naddress = "{remote}"\ntoken_keyring = "work"\n')
    wrong = tmp_path / "wrong"
    wrong.write_text("another")
    done = cli("status", "--json", environ={"FOUNDRY_BACKEND": "", "FOUNDRY_TOKEN_FILE": str(wrong)}, code=0)
    assert "s3cret" not in done.out
    assert "s3cret" not in cli("config", "show", code=0).out


def test_without_an_entry_it_says_how_to_put_one_there(cli: Cli, remote: str) -> None:
    done = cli("list", environ={"FOUNDRY_TOKEN_KEYRING": "home"}, code=2)
    assert "keyring set foundry home" in done.err


@pytest.mark.parametrize("token", ["two words", "schlüssel"])
def test_what_is_no_token_is_not_told(cli: Cli, remote: str, token: str) -> None:
    put(cli, "odd", token)
    done = cli("list", environ={"FOUNDRY_TOKEN_KEYRING": "odd"}, code=2)
    assert "is no token" in done.err
    assert token not in done.err


def test_a_machine_without_a_keyring_is_told_so(cli: Cli, remote: str) -> None:
    environ = {"FOUNDRY_TOKEN_KEYRING": "work", "PYTHON_KEYRING_BACKEND": NO_KEYRING}
    assert "the keyring cannot be read" in cli("list", environ=environ, code=2).err
    rows = {row[0]: row for row in cli("doctor", environ=environ, code=1).rows}
    assert "keyring" in rows["config"][2]


def test_without_the_library_the_extra_is_named(cli: Cli, remote: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['keyring'] = None\n")
    environ = {"FOUNDRY_TOKEN_KEYRING": "work", "PYTHONPATH": str(tmp_path)}
    assert "foundry-tui[keyring]" in cli("list", environ=environ, code=2).err


def test_our_own_backend_on_a_socket_asks_no_keyring(cli: Cli) -> None:
    cli("list", environ={"FOUNDRY_TOKEN_KEYRING": "none", "PYTHON_KEYRING_BACKEND": NO_KEYRING}, code=0)
