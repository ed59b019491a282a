"""The sections of the config file, each as its checked values."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Milliseconds = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Minutes = Annotated[int, Meta(ge=0, le=1_000_000)] | Annotated[float, Meta(ge=0, le=1_000_000)]


class Backend(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[backend]`: which backend is spoken to, and how our own is started."""

    address: Text | None = None
    token_file: Text | None = None
    token_keyring: Text | None = None
    ca_file: Text | None = None
    data_dir: Text | None = None
    listen: Text | None = None
    allow_remote: tuple[Text, ...] | None = None
    tls_cert: Text | None = None
    tls_key: Text | None = None
    insecure: bool = False
    database: Text | None = None
    host: Text | None = None
    max_provisioning: Count | None = None


class Provision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[provision]`: how our own backend prepares tasks. Absent values are the backend's own, per stage."""

    provider: Text | None = None
    stage_timeout_ms: Count | None = None
    stage_attempts: Count | None = None
    stage_backoff_ms: Milliseconds | None = None


class Local(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[local]`: how the provider `local` of our own backend works. Absent values are the backend's own."""

    agent: Text | None = None
    sandbox_agent: Text | None = None
    permissions: Literal["ask", "reads", "all"] | None = None
    copy_files: tuple[Text, ...] | None = None
    setup_timeout_ms: Count | None = None
    fetch_timeout_ms: Count | None = None
    bubblewrap: bool | None = None
    writable: tuple[Text, ...] | None = None


class AgentLife(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[agents]`: what holds for all agents of our own backend, beside the `[agents.NAME]`."""

    idle_minutes: Minutes | None = None


class App(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[app]`: how the app looks and tells."""

    theme: Text | None = None
    ascii: bool | None = None
    notifications: bool = True
    bell: bool = True
    terminal_notifications: bool = True
