"""Threads for work that may block, where the work itself tells whoever waits what became of it."""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable

logger = logging.getLogger(__name__)

Job = Callable[[], None]


class Threads:
    """Up to `limit` threads, started as they are needed; a job that never ends keeps its thread and nothing else.

    A job wakes one thread, the one that worked last. Those of an executor wait at one queue, where each job wakes a
    second one in vain, just as the first begins.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._lock = threading.Lock()
        self._started = 0
        self._closed = False
        self._idle: list[queue.SimpleQueue[Job | None]] = []
        self._waiting: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        """Have the job run as soon as a thread is free; from any thread.

        Raises `RuntimeError` where the system gives no thread more: then the job is not done.
        """
        with self._lock:
            if self._idle:
                given = self._idle.pop()
            elif self._started < self._limit:
                given = self._start()
            else:
                self._waiting.append(job)
                return
        given.put(job)

    def close(self) -> None:
        """Let each thread end when it has no more to do, and wait for none; what comes later is done all the same."""
        with self._lock:
            self._closed = True
            self._started -= len(self._idle)
            while self._idle:
                self._idle.pop().put(None)

    def _start(self) -> "queue.SimpleQueue[Job | None]":
        given: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        name = f"{self._name}-{self._started + 1}"
        threading.Thread(target=self._work, args=(given,), name=name, daemon=True).start()
        self._started += 1
        return given

    def _work(self, given: "queue.SimpleQueue[Job | None]") -> None:
        while (job := given.get()) is not None:
            try:
                job()
            except Exception:
                logger.exception("a job of %s failed", self._name)
            # what it held is not kept until the next one comes
            del job
            with self._lock:
                if self._waiting:
                    given.put(self._waiting.popleft())
                elif self._closed:
                    self._started -= 1
                    return
                else:
                    self._idle.append(given)
