"""The local provider's settings from the environment."""

import pytest

from backend_stub.domain.errors import SettingError
from backend_stub.domain.settings import DEFAULT_TIMEOUT_MS, read_settings
from backend_stub.providers.local import LocalSettings
from foundry_tui.contract.questions import PermissionPolicy


def test_an_empty_environment_gives_the_defaults() -> None:
    assert LocalSettings.from_environ({}) == LocalSettings()
    assert LocalSettings.from_environ({"FOUNDRY_AGENT": "", "FOUNDRY_COPY_FILES": " , "}) == LocalSettings()


def test_every_variable_is_read() -> None:
    assert LocalSettings.from_environ(
        {
            "FOUNDRY_AGENT": "codex",
            "FOUNDRY_PERMISSIONS": "reads",
            "FOUNDRY_SETUP_TIMEOUT_MS": "1500",
            "FOUNDRY_FETCH_TIMEOUT_MS": "250",
            "FOUNDRY_COPY_FILES": ".env, conf/local.ini",
            "FOUNDRY_BUBBLEWRAP": "1",
            "FOUNDRY_SANDBOX_WRITABLE": "/opt/cache",
        }
    ) == LocalSettings("codex", PermissionPolicy.READS, 1.5, 0.25, (".env", "conf/local.ini"), True, ("/opt/cache",))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FOUNDRY_PERMISSIONS", "always"),
        ("FOUNDRY_BUBBLEWRAP", "yes"),
        ("FOUNDRY_SETUP_TIMEOUT_MS", "10s"),
        ("FOUNDRY_FETCH_TIMEOUT_MS", "0"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{name}.*{value}"):
        LocalSettings.from_environ({name: value})


def test_what_is_granted_to_a_part_of_a_stage_comes_on_top_of_the_stage() -> None:
    assert read_settings({}).timeout_ms == DEFAULT_TIMEOUT_MS
    granted = read_settings(
        {
            "FOUNDRY_STAGE_TIMEOUT_MS": "5000",
            "FOUNDRY_SETUP_TIMEOUT_MS": "600000",
            "FOUNDRY_FETCH_TIMEOUT_MS": "60000",
        }
    ).timeout_ms
    assert granted["create_sandbox"] == 605_000
    assert granted["ensure_name"] == 65_000
    assert granted["ensure_agent"] == 5_000
