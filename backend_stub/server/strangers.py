"""Connections over TCP that have not shown the token yet: few, for a short time, and seldom told of in the log."""

import logging
from collections import OrderedDict
from typing import Protocol

from backend_stub.log import Sparing

MOST = 256
"""Connections of strangers at once, at most, and no more than a `SHARE` of the descriptors."""
SHARE = 8
SECONDS = 10.0
"""Time that a stranger has to show the token."""

logger = logging.getLogger(__name__)


class Stranger(Protocol):
    """A connection that may be ended at once."""

    def cut(self) -> None: ...


class Strangers:
    """Where there are too many, ends the oldest connection of the peer that has the most.

    So nobody who has the token is kept out by those who have not.
    """

    def __init__(self, descriptors: int) -> None:
        self._most = max(1, min(MOST, descriptors // SHARE))
        self._peers: dict[str, OrderedDict[Stranger, None]] = {}
        self._peer_of: dict[Stranger, str] = {}
        self._log = Sparing(logger)

    def arrived(self, connection: Stranger, peer: str) -> None:
        """Somebody connected, from the address `peer`."""
        self._peer_of[connection] = peer
        self._peers.setdefault(peer, OrderedDict())[connection] = None
        if len(self._peer_of) > self._most:
            _, crowd = max(self._peers.items(), key=lambda each: len(each[1]))
            oldest = next(iter(crowd))
            self.left(oldest)
            oldest.cut()
            self.tell("more than %d connections without a token: the oldest were closed", self._most)

    def left(self, connection: Stranger) -> None:
        """It is gone, or has shown the token."""
        peer = self._peer_of.pop(connection, None)
        if peer is not None:
            del self._peers[peer][connection]
            if not self._peers[peer]:
                del self._peers[peer]

    def is_one(self, connection: Stranger) -> bool:
        return connection in self._peer_of

    def tell(self, message: str, *values: object) -> None:
        """Log what strangers did, once a minute."""
        self._log.warning(message, *values)
