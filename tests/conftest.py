"""What all tests share: asyncio as the event loop, and nothing of the machine's own settings."""

import compileall
import fcntl
import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

from foundry_tui.contract.agents import VARIABLE
from foundry_tui.process import agent_binary
from foundry_tui.process.npm import InstallError
from tests import forks
from tests.backend.process import BackendProcess
from tests.blocking import nothing_blocks
from tests.postgres import PostgresServer, why_none
from tests.world import folders_of

# Where Python is to keep no byte code, each process of tests would make pytest rewrite all of them again.
sys.dont_write_bytecode = False

# A run in the background of a shell ignores ctrl+c, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples at every run, so that a red run tells of the change it stands on; `--hypothesis-profile=explore`
# looks further.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1_000)
settings.load_profile("steady")

forks.allow()


OBJECTS_BETWEEN_COLLECTIONS = 10_000
"""As in the backend; Python's own 700 has an eighth of the time of a test of the app go into collecting."""


SLOW_MODULES = frozenset(
    {
        "app/test_agent_choices.py",
        "app/test_as_it_leaves.py",
        "app/test_ascii.py",
        "app/test_footer.py",
        "app/test_foreign_text.py",
        "app/test_gallery.py",
        "app/test_key_order.py",
        "app/test_new_task.py",
        "app/test_strange_answers.py",
        "app/test_trust.py",
        "app/test_unbroken.py",
        "backend/test_host_faults.py",
        "backend/test_many_hosts.py",
        "backend/test_postgres_away.py",
        "backend/test_ending.py",
        "backend/test_faults.py",
        "backend/test_kills.py",
        "backend/test_limits.py",
        "backend/test_pulse.py",
        "backend/test_sessions.py",
        "backend/test_storage_faults.py",
        "backend/test_storage_files.py",
        "cli/test_asking.py",
        "cli/test_backend.py",
        "cli/test_demo.py",
        "cli/test_finding.py",
        "cli/test_foreign_text.py",
        "cli/test_frozen.py",
        "cli/test_keyring.py",
        "cli/test_leaving.py",
        "cli/test_limits.py",
        "cli/test_no_room.py",
        "cli/test_promises.py",
        "cli/test_questions.py",
        "cli/test_remote.py",
        "cli/test_sandbox.py",
        "cli/test_settings.py",
        "cli/test_status.py",
        "cli/test_strange_answers.py",
        "cli/test_versions.py",
        "contract/test_backend_process.py",
        "contract/test_demo_script.py",
        "contract/test_strangers.py",
        "local/test_agent.py",
        "local/test_backend.py",
        "local/test_faults.py",
        "local/test_patch.py",
        "local/test_setup.py",
        "local/test_turns.py",
    }
)
"""Modules whose tests cost the most processor time, mostly in processes that they start: all of them are slow.

The quick tests are to fit into four minutes on two cores; single tests elsewhere carry the mark themselves.
"""


def pytest_xdist_auto_num_workers() -> int | None:
    """Four workers on two cores: tests wait as much as they work. None where the variable of xdist says how many."""
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else (os.cpu_count() or 1) * 2


EVERY = "FOUNDRY_TESTS_EVERY"
"""The variable that has only each n-th case run of a slow test that has very many; unset: all of them."""
VERY_MANY = 6
"""Cases of one test beyond which that is done: they try one thing on every command, screen or kind of answer."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of slow modules, before marks are looked at to choose which tests run."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).as_posix() in SLOW_MODULES:
            item.add_marker(pytest.mark.slow)
    every = int(os.environ.get(EVERY, "1"))
    cases: dict[tuple[Path, str], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("slow") is not None:
            cases.setdefault((item.path, getattr(item, "originalname", item.name)), []).append(item)
    left_out = {item for many in cases.values() if len(many) > VERY_MANY for item in set(many) - set(many[::every])}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile what the processes of the tests import, as where it is installed: some machines keep no byte code.

    Raises `UsageError` for a slow module that there is none of.
    """
    if not hasattr(session.config, "workerinput"):
        missing = [name for name in SLOW_MODULES if not (Path(__file__).parent / name).is_file()]
        if missing:
            raise pytest.UsageError(f"SLOW_MODULES names what is not there: {', '.join(missing)}")
        for package in ("foundry_tui", "backend_stub"):
            compileall.compile_dir(session.config.rootpath / package, quiet=2)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what is imported by now, as the app and the backend do: it stays to the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def sandbox_agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned sandbox-agent: the one that FOUNDRY_SANDBOX_AGENT names, or one fetched with npm once for this run."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so the sandbox-agent binary cannot be had (or set FOUNDRY_SANDBOX_AGENT)")
    # Processes that test side by side have folders of their own in one.
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "sandbox-agent"
    folder.mkdir(exist_ok=True)
    try:
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return agent_binary.install(folder)
    except InstallError as error:
        pytest.skip(f"the sandbox-agent binary cannot be had: {error}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that all tests of this process share: none may stop it."""
    if (reason := why_none()) is not None:
        pytest.skip(reason)
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database of the test's own, new and empty."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the test's own, to be stopped and started."""
    if (reason := why_none()) is not None:
        pytest.skip(reason)
    with PostgresServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _nothing_blocks() -> Iterator[None]:
    """Whatever of ours blocks an event loop in the test fails it."""
    with nothing_blocks() as found:
        yield
    assert not found, "\n".join(found)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Has a line of counts printed at the end of the run, also when the tests run side by side."""
    return partial(record_property, "counts")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have counted."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    told = [
        str(value)
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == "counts"
    ]
    if told:
        terminalreporter.section("counts")
    for line in told:
        terminalreporter.line(line)


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[BackendProcess]:
    """A backend that the test starts itself, after setting its environment, options or script."""
    with BackendProcess(tmp_path) as process:
        yield process


@pytest.fixture
def backend(stopped: BackendProcess) -> BackendProcess:
    """A running backend of the test's own, with an empty data folder and a script that it may replace."""
    return stopped.start()


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of the test's own, and no variable that would change what is tested."""
    for name in list(os.environ):
        if name.startswith(("FOUNDRY_", "GIT_")) or name in ("NO_COLOR", "TEXTUAL_THEME", "TMUX"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "home").mkdir()
    for name, folder in folders_of(tmp_path).items():
        monkeypatch.setenv(name, folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir(mode=0o700)
