"""The token of a remote backend in the system's keyring, through a library that is an extra of this distribution."""

from foundry_tui.contract.tokens import is_token
from foundry_tui.settings.errors import ConfigError

SERVICE = "foundry"
"""The keyring's name for us; entries under it are named by the person."""


def read_token(entry: str) -> str:
    """The token that stands under `entry`; raises `ConfigError` when there is none, or no keyring to ask."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise ConfigError(
            "backend.token_keyring needs the library keyring: pip install 'foundry-tui[keyring]'"
        ) from None
    put = f"put it there with: keyring set {SERVICE} {entry}"
    try:
        token = keyring.get_password(SERVICE, entry)
    except (KeyringError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ConfigError(f"the keyring cannot be read for the token {entry!r}: {reason}") from None
    if token is None:
        raise ConfigError(f"the keyring has no token {entry!r} of {SERVICE}: {put}")
    token = token.strip()
    if not is_token(token):
        raise ConfigError(f"what the keyring has as {entry!r} of {SERVICE} is no token: {put}")
    return token
