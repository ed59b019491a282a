"""Where the backend listens: a Unix socket that only its user can reach, or loopback TCP with a token."""

import ipaddress
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backend_stub.folder import StartError

SOCKET_PATH_LIMIT = 100
"""Bytes that every platform takes as the path of a Unix socket."""


@dataclass(frozen=True)
class Endpoint:
    """An open socket; `listening` has the form of `--listen`, with the port that was given.

    `hosts` are the names under which it may be asked; None: any, since a machine cannot know what others call it.
    """

    socket: socket.socket
    listening: str
    hosts: frozenset[str] | None
    path: Path | None = None

    def remove(self) -> None:
        """Take the socket's file away."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()


def open_endpoint(listen: str, *, anywhere: bool = False) -> Endpoint:
    """Listen on `unix:PATH` or `HOST:PORT`; raises `StartError`.

    TCP is refused beyond loopback unless `anywhere`. A stale socket file is replaced, a live one is not.
    """
    if listen.startswith("unix:"):
        return _open_unix(Path(listen.removeprefix("unix:")))
    return _open_tcp(listen, anywhere=anywhere)


def read_token(path: Path) -> str:
    """The token in a file; raises `StartError` when there is none."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"the token file {path} cannot be read: {error}") from error
    if not token:
        raise StartError(f"the token file {path} is empty: put a secret of your choice into it")
    if not token.isascii() or any(char.isspace() for char in token):
        raise StartError(f"the token in {path} must be one word of ASCII characters")
    return token


def _open_unix(path: Path) -> Endpoint:
    if path == Path():
        raise StartError("--listen unix: names no path: write unix:PATH")
    path = path.absolute()
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise StartError(
            f"the socket path {path} is longer than {SOCKET_PATH_LIMIT} bytes: choose a shorter one with --listen"
        )
    folder = path.parent
    try:
        # Only a folder that we make ourselves is narrowed; one that exists belongs to whoever made it.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear_stale(path)
    except OSError as error:
        raise StartError(f"the socket {path} cannot be made ({error.strerror}): check {folder}") from error
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
    except OSError as error:
        made.close()
        raise StartError(f"the socket {path} cannot be made ({error.strerror}): check {folder}") from error
    finally:
        os.umask(before)
    made.listen(512)
    return Endpoint(made, f"unix:{path}", frozenset(), path)


def _clear_stale(path: Path) -> None:
    """Remove a socket file that nobody answers on."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"{path} exists and is no socket: move it away, or choose another path with --listen")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                path.unlink()
            return
        except (TimeoutError, BlockingIOError):
            # Its queue is full: busy, but there.
            pass
    raise StartError(f"another backend answers on the socket {path}: stop it, or choose another path with --listen")


def _open_tcp(listen: str, *, anywhere: bool) -> Endpoint:
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit() and len(port) <= 5) or int(port) > 65_535:
        raise StartError(f"{listen!r} is no address: use unix:PATH or HOST:PORT")
    loopback = _is_loopback(host)
    if not anywhere and not loopback:
        raise StartError(
            f"{listen} can be reached from other machines, so it is refused: listen on 127.0.0.1, "
            "or say --allow-remote and put TLS before it"
        )
    made: socket.socket | None = None
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, int(port)))
        made.listen(512)
    except (OSError, UnicodeError) as error:
        if made is not None:
            made.close()
        if isinstance(error, UnicodeError):
            raise StartError(f"{listen!r} is no address: its host is no name") from error
        raise StartError(f"{listen} cannot be listened on: {error.strerror or error}") from error
    bound = made.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    hosts = frozenset({host.lower(), "localhost", "127.0.0.1", "::1"}) if loopback else None
    return Endpoint(made, f"{shown}:{bound}", hosts)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
