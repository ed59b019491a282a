"""The token that a backend on TCP asks for, as a file has it."""

from pathlib import Path

from foundry_tui.client.named_file import read_named_file
from foundry_tui.contract.tokens import is_token
from foundry_tui.settings.errors import FileError


def read_token(path: Path) -> str:
    """The token in the file; raises `FileError` when it cannot be read or holds none."""
    try:
        token = read_named_file(path).strip()
    except OSError as error:
        raise FileError(f"the token file {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise FileError(f"the token file {path} holds no token: it is no text") from None
    if not is_token(token):
        raise FileError(f"the token file {path} holds no token: put the backend's token into it, on one line")
    return token
