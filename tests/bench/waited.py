"""How long one request after the other waits for its answer while a backend does something else."""

import threading
import time
from collections.abc import Callable

import httpx

from tests.backend.process import BackendProcess


def longest_wait(backend: BackendProcess, path: str, meanwhile: Callable[[], object]) -> float:
    """The longest that a request of this path waited meanwhile, in milliseconds."""
    longest, done = 0.0, threading.Event()
    # A connection of its own: that of the backend's process waits for events.
    http = httpx.Client(transport=httpx.HTTPTransport(uds=str(backend.socket)), base_url="http://foundry")

    def ask() -> None:
        nonlocal longest
        while not done.is_set():
            began = time.perf_counter()
            http.get(path)
            longest = max(longest, time.perf_counter() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        meanwhile()
    finally:
        done.set()
        asking.join()
        http.close()
    return longest * 1000
