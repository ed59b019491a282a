"""Which certificates are trusted, and what to say of one that is not. Imported for TLS alone: ssl takes its time."""

import ssl
from typing import NamedTuple

from foundry_tui.client.named_file import read_named_file

_END = "-----END CERTIFICATE-----"
_HINTS = {
    10: "it is past its time: give the backend a new one",
    62: "name the backend as its certificate does",
    64: "name the backend as its certificate does",
}
"""What to do, by OpenSSL's number of what is wrong."""
_UNKNOWN_SIGNER = "name the file of whoever signed it with --ca-file (FOUNDRY_CA_FILE)"


def trust(ca_file: str | None, *, pinned: bool) -> ssl.SSLContext:
    """What a connection trusts: the system's authorities, or the certificates in `ca_file` instead.

    `pinned`: the first of them is the backend's own, whatever its name. Raises `OSError` (`ssl.SSLError` is one) when
    that file holds no certificate.
    """
    if ca_file is None:
        return ssl.create_default_context()
    certificates = read_named_file(ca_file, "ascii", "replace")
    if pinned:
        # our own backend shows this very certificate, whatever names stand in it
        certificates = certificates[: certificates.find(_END) + len(_END)]
    try:
        context = ssl.create_default_context(cadata=certificates)
    except ValueError:
        raise ssl.SSLError("it holds no certificate") from None
    # what a person names is trusted as it is, by every Python alike: 3.13 would refuse much that openssl makes
    context.verify_flags = (context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    context.check_hostname = not pinned
    return context


class Trouble(NamedTuple):
    """Why TLS came to nothing, and what to do about it."""

    what: str
    hint: str


def trouble_of(error: BaseException | None) -> Trouble | None:
    """What is wrong with the other side's TLS, where that is what `error` or one of its causes is about."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble(
            f"the backend's certificate is not trusted: {error.verify_message.rstrip('.')}",
            _HINTS.get(error.verify_code, _UNKNOWN_SIGNER),
        )
    if isinstance(error, ssl.SSLError):
        return Trouble(
            f"the backend and we find no TLS to speak: {error.reason or error}",
            "if it speaks none, name it as http://HOST:PORT",
        )
    return None
