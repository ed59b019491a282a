"""Which providers this backend has, and which of them is the default."""

from collections.abc import Callable, Mapping
from pathlib import Path

from backend_stub.agents.demo import DemoAgents
from backend_stub.demo.script import ScriptError, ScriptFile, script_file
from backend_stub.demo.world import World
from backend_stub.domain.clock import Runtime
from backend_stub.domain.errors import SettingError
from backend_stub.domain.provider import Provider
from backend_stub.domain.settings import Settings
from backend_stub.providers.demo import DemoProvider
from backend_stub.providers.local.provider import LocalProvider
from backend_stub.providers.local.settings import LocalSettings


def make_providers(
    folder: Path,
    environ: Mapping[str, str],
    settings: Settings,
    runtime: Runtime,
    wrong_script: Callable[[ScriptError], None],
) -> dict[str, Provider]:
    """The providers by name, the default first: the one set, else `local` where an agent can be run, else `demo`.

    `wrong_script` is told when the demo script says what cannot be, now or later.
    Raises `backend_stub.demo.script.ScriptError` for a wrong demo script, `SettingError` for a default
    provider that there is none of.
    """
    script = script_file(environ, wrong_script)
    script.read()
    local = LocalProvider(folder, LocalSettings.from_environ(environ), environ)
    providers: dict[str, Provider] = {"demo": demo_provider(folder / "demo", script, runtime), "local": local}
    if local.state() == "ready":
        providers = dict(reversed(providers.items()))
    if settings.provider is not None and settings.provider not in providers:
        known = ", ".join(sorted(providers))
        raise SettingError(f"FOUNDRY_PROVIDER is {settings.provider!r}, but there is only {known}")
    return dict(sorted(providers.items(), key=lambda item: item[0] != settings.provider))


def demo_provider(folder: Path, script: ScriptFile, runtime: Runtime) -> DemoProvider:
    """The demo's sandboxes and agents, which share one world; its journal is kept in `folder`."""
    world = World(folder / "world.jsonl", script, runtime)
    return DemoProvider(folder, world, script, runtime, DemoAgents(world, script))
