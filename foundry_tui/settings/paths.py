"""Where Foundry's files are on this machine: the platform's folders, unless the environment names others."""

import os
from collections.abc import Mapping
from pathlib import Path

from foundry_tui.client.private_files import APP
from foundry_tui.settings.errors import FileError


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the config file is, or would be."""
    named = environ.get("FOUNDRY_CONFIG")
    if named:
        return absolute(named)
    return _folder("XDG_CONFIG_HOME", environ, "user_config_dir") / "config.toml"


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where data lie unless a setting says otherwise."""
    return _folder("XDG_DATA_HOME", environ, "user_data_dir")


def runtime_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of our own for socket and lock, in the user's runtime folder."""
    try:
        return _folder("XDG_RUNTIME_DIR", environ, "user_runtime_dir")
    except PermissionError as error:
        raise FileError(str(error)) from None


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where drafts and unanswered requests are kept between two runs of the app."""
    return _folder("XDG_STATE_HOME", environ, "user_state_dir")


def _folder(variable: str, environ: Mapping[str, str], default: str) -> Path:
    base = environ.get(variable, "")
    if base and Path(base).is_absolute():
        return Path(base) / APP
    import warnings

    import platformdirs

    # it warns of a missing XDG_RUNTIME_DIR, which is no news to who runs without one
    warnings.simplefilter("ignore", platformdirs.RuntimeDirWarning)
    return Path(getattr(platformdirs, default)(APP, appauthor=False))


def absolute(path: str) -> Path:
    """The path with `~` and the current folder filled in, symbolic links kept."""
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - pathlib would resolve or fail on ~
