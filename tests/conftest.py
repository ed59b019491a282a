"""What all tests share: asyncio as the event loop, and nothing of the machine's own settings."""

import compileall
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

# A run in the background of a shell ignores ctrl+c, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples at every run, so that a red run tells of the change it stands on; `--hypothesis-profile=explore`
# looks further.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1_000)
settings.load_profile("steady")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile what the processes of the tests import, as where it is installed: some machines keep no byte code."""
    if not hasattr(session.config, "workerinput"):
        for package in ("foundry_tui", "backend_stub"):
            compileall.compile_dir(session.config.rootpath / package, quiet=2)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


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


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of the test's own, and no variable that would change what is tested."""
    for name in list(os.environ):
        if name.startswith(("FOUNDRY_", "GIT_")) or name in ("NO_COLOR", "TEXTUAL_THEME", "TMUX"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir(mode=0o700)
