"""What is wrong with a setting, said where the person finds it."""

from foundry_tui.client.errors import FoundryError


class ConfigError(FoundryError):
    """A setting is wrong; the message names where it stands (file and line, variable or flag) and what it may be."""


class FileError(ConfigError):
    """A file that a setting names cannot be used."""
