"""What is to be reconciled: each object once, never twice at a time, and with growing pauses after failures."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from switchboard.controller import metrics
from switchboard.kube.errors import Conflict, KubeError

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 60.0


class Key(NamedTuple):
    """An object to reconcile."""

    kind: str
    namespace: str
    name: str


Process = Callable[[Key], Awaitable[float | None]]
"""Reconciles an object; gives the seconds after which it is to be looked at again, or None."""


class Queue:
    """A keyed queue. An object that is added while it is being reconciled is reconciled once more afterwards.

    `first` says of which objects the states are waited for by others: they go first.
    """

    def __init__(self, process: Process, *, workers: int, first: Callable[[Key], bool] = lambda _: False) -> None:
        self._process = process
        self._workers = workers
        self._goes_first = first
        self._first: deque[Key] = deque()
        self._turns = 0
        self._heap: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()
        self._running: dict[Key, tuple[asyncio.Task[None], float]] = {}
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._beat = 0.0

    def add(self, key: Key, after: float = 0.0) -> None:
        """Reconciles `key` in `after` seconds, or earlier if that was already planned."""
        if after <= 0:
            self._due.pop(key, None)
            self._make_ready(key)
        else:
            due = asyncio.get_running_loop().time() + after
            planned = self._due.get(key)
            if key in self._waiting or (planned is not None and planned <= due):
                return
            self._due[key] = due
            heapq.heappush(self._heap, (due, next(self._order), key))
        self._changed.set()

    def forget(self, key: Key) -> None:
        """Takes back what is planned for an object that is gone."""
        self._due.pop(key, None)
        self._failures.pop(key, None)

    def _make_ready(self, key: Key) -> None:
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            (self._first if self._goes_first(key) else self._ready).append(key)

    def _next(self) -> Key:
        """What others wait for goes first, but for every fourth turn: nothing waits for ever."""
        self._turns += 1
        early = self._first and (self._turns % 4 or not self._ready)
        return self._first.popleft() if early else self._ready.popleft()

    async def run(self) -> None:
        """Works until it is cancelled; what is running then is cancelled as well."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._beat = now = loop.time()
                self._changed.clear()
                while self._heap and self._heap[0][0] <= now:
                    due, _, key = heapq.heappop(self._heap)
                    if self._due.get(key) == due:  # else it was planned anew meanwhile
                        del self._due[key]
                        self._make_ready(key)
                while self._many and len(self._running) < self._workers:
                    self._start(self._next(), now)
                metrics.WAITING.set(self._many)
                pause = min(self._heap[0][0] - now, 5.0) if self._heap else 5.0
                try:
                    async with asyncio.timeout(max(pause, 0.001)):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            tasks = [task for task, _ in self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: Key, now: float) -> None:
        self._waiting.discard(key)
        self._running[key] = (asyncio.create_task(self._work(key), name=f"reconcile {key}"), now)

    async def _work(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        result, after = "done", None
        try:
            after = await self._process(key)
            self._failures.pop(key, None)
        except KubeError as error:
            result = "conflict" if isinstance(error, Conflict) else "unavailable"
            after = self._pause(key, error.retry_after)
            level = logging.INFO if isinstance(error, Conflict) else logging.WARNING
            log.log(level, "not reconciled, trying again", extra={"object": "/".join(key), "error": str(error)})
        except Exception:
            result = "failed"
            after = self._pause(key, None)
            log.exception("reconciling failed: this is a bug", extra={"object": "/".join(key)})
        finally:
            del self._running[key]
            metrics.RECONCILES.labels(key.kind, result).inc()
            metrics.SECONDS.labels(key.kind).observe(loop.time() - started)
            if key in self._again:
                self._again.discard(key)
                if result == "done":
                    self._make_ready(key)
                else:
                    after = min(after or FIRST_PAUSE, FIRST_PAUSE)
            if after is not None and key not in self._waiting:
                self.add(key, max(after, 0.001))
            self._changed.set()

    def _pause(self, key: Key, asked: float | None) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 12))
        return max(random.uniform(longest / 2, longest), asked or 0.0)  # noqa: S311 - jitter

    def stuck(self, seconds: float) -> str | None:
        """Why reconciling does not progress: the loop stands still, or one object takes longer than `seconds`."""
        now = asyncio.get_running_loop().time()
        if self._beat and now - self._beat > seconds:
            return f"the queue has stood still for {now - self._beat:.0f} s"
        for key, (_, since) in self._running.items():
            if now - since > seconds:
                return f"{'/'.join(key)} has been reconciled for {now - since:.0f} s"
        return None

    @property
    def busy(self) -> bool:
        """Whether more is ready than all workers have in hand."""
        return self._many > self._workers

    @property
    def _many(self) -> int:
        return len(self._first) + len(self._ready)

    @property
    def idle(self) -> bool:
        """Whether nothing is running or ready."""
        return not self._running and not self._many
