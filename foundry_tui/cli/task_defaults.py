"""What a new task has that names no provider, agent or permissions: as the settings here say, whichever backend it is.

Our own backend has been told the same when it was started, maybe from another shell; others have settings of their own.
"""

from foundry_tui.client.task_defaults import TaskDefaults
from foundry_tui.settings.config import Loaded, Settings

SETTINGS = {"provider": "provision.provider", "agent": "local.agent", "permissions": "local.permissions"}
"""The settings that say so, by the field of the request."""


def task_defaults(settings: Settings) -> TaskDefaults:
    """What these settings say of new tasks."""
    local = settings.local
    return TaskDefaults(provider=settings.provision.provider, agent=local.agent, permissions=local.permissions)


def where_from(loaded: Loaded, field: str) -> str:
    """Where the default of this field was named: a variable, or the config file."""
    return loaded.origins.get(SETTINGS[field], "")
