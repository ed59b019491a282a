"""Where the backend is, and the HTTP client that reaches it."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from foundry_tui.contract.sockets import LOOPBACK_NAMES

if TYPE_CHECKING:
    import ssl

    import httpx

CONNECT_TIMEOUT = 5.0
"""Seconds to wait for the backend to accept a connection."""
ANSWER_TIMEOUT = 30.0
"""Seconds to wait for an answer; every answer comes after one commit at most, so this is patience, not a plan."""

LARGEST_ANSWER = 1 << 28
"""Bytes of an answer, or of one event of a stream, that are read before it is given up."""
ORDERED = frozenset({202, 204})
"""How a backend answers to what was to be done and has no record; what stands before it, as 200 with a page."""


class Target(Struct, frozen=True):
    """Where a backend listens. `uds` is the path of its Unix socket, None for TCP; `base_url` ends in no slash.

    `ca_file` holds the certificates that are trusted instead of the system's; `pinned`: its first is the backend's own.
    """

    base_url: str
    uds: str | None = None
    token: str | None = None
    ca_file: str | None = None
    pinned: bool = False

    @classmethod
    def parse(cls, text: str, token: str | None = None) -> "Target":
        """The target of `unix:PATH`, `HOST:PORT` or an http(s) URL; raises `ValueError` with one sentence otherwise."""
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path:
                raise ValueError("unix: needs the path of a socket behind it")
            return cls("http://localhost", path, token)
        if any(mark in text for mark in "@?#"):
            # not said again: there may be a password in it
            raise ValueError("a backend's address has no user and no query: its token goes into a file (--token-file)")
        url = text if text.startswith(("http://", "https://")) else f"http://{text}"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            # so is it looked up, and a name that cannot be would end in a traceback there
            (host or "").encode("idna")
        except ValueError:
            host, port = None, None
        if not host or not url.isprintable() or (url is not text and port is None):
            raise ValueError(f"{text!r} names no backend: use unix:PATH, HOST:PORT or a URL")
        return cls(url.rstrip("/"), None, token)

    def with_token(self, token: str | None) -> "Target":
        """The same place with another token."""
        return replace(self, token=token)

    @property
    def is_tls(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def is_local(self) -> bool:
        """Whether the backend is on this machine as far as its address tells."""
        return self.uds is not None or urlsplit(self.base_url).hostname in LOOPBACK_NAMES

    def __str__(self) -> str:
        """The target as a person would write it, without its token."""
        return f"unix:{self.uds}" if self.uds is not None else self.base_url.removeprefix("http://")

    def __repr__(self) -> str:
        return f"Target({str(self)!r})"


def import_httpx() -> None:
    """Import httpx without its own command line, which is more than half of its time where click is installed.

    It does without where that module lacks `main`. For the rows "list of 1,000 live tasks" of
    `python -m tests.bench first_content` and "foundry list" of `python -m tests.bench commands`.
    """
    import sys
    from types import ModuleType

    sys.modules.setdefault("httpx._main", ModuleType("httpx._main"))
    import httpx  # noqa: F401


def make_http(
    target: Target, transport: "httpx.AsyncBaseTransport | None" = None, timeout: float = ANSWER_TIMEOUT
) -> "httpx.AsyncClient":
    """An HTTP client for `target`; `timeout` is the seconds to wait for an answer. The caller closes it."""
    # Imported here so that naming a target costs no HTTP library.
    import httpx

    # Each stream holds a connection for as long as it is on screen, so there is no bound on their number.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=4)
    if transport is None and target.uds is not None:
        transport = httpx.AsyncHTTPTransport(uds=target.uds, verify=False, limits=limits)
    return httpx.AsyncClient(
        base_url=target.base_url,
        transport=transport,
        headers=_headers(target),
        timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
        limits=limits,
        verify=_verify(target),
        trust_env=not target.is_local,
    )


def make_blocking_http(target: Target, timeout: float) -> "httpx.Client":
    """The same for a command that asks and waits; `timeout` is the seconds to wait for each step of an answer."""
    import_httpx()
    import httpx

    return httpx.Client(
        base_url=target.base_url,
        transport=None if target.uds is None else httpx.HTTPTransport(uds=target.uds, verify=False),
        headers=_headers(target),
        timeout=timeout,
        verify=_verify(target),
        # A proxy of the environment must not stand between this machine and itself.
        trust_env=not target.is_local,
    )


def _headers(target: Target) -> dict[str, str]:
    return {"Authorization": f"Bearer {target.token}"} if target.token else {}


def _verify(target: Target) -> "ssl.SSLContext | bool":
    if not target.is_tls:
        return False
    from foundry_tui.client.tls import trust

    return trust(target.ca_file, pinned=target.pinned)
