"""Group commit: whoever comes while a commit runs is in the next one. No timer: an idle log commits at once.

A commit costs as much as some ten of its entries, so it begins when the event loop has nothing more to bring it, or
when there are enough. Others run beside it once there are enough for each, so that the database has work while we
answer those of the first, and disks that are slow flush several at a time. But never two with the same key: what one of
them holds locked the other would wait for, and entries of a key keep their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from switchboard.log.errors import LogUnavailable

A = TypeVar("A")
B = TypeVar("B")

BATCH_MAX = 256
"""Entries of one commit: what comes in a millisecond or two when the database is the limit."""
ENOUGH = 16
"""Entries that are worth a commit, also while another one runs."""
_STILL = 2
"""Rounds of the event loop without a new entry, after which none is on its way: a request takes two from its bytes to
its entry."""


class GroupCommit(Generic[A, B]):
    """Hands entries to `commit` in batches."""

    def __init__(
        self,
        commit: Callable[[Sequence[A]], Awaitable[Sequence[B]]],
        *,
        key: Callable[[A], Hashable],
        most_waiting: int = 20_000,
        at_once: int,
    ) -> None:
        """`commit` gives a result for each entry, in order, when all of them are durable; `at_once` run at the most."""
        self._commit = commit
        self._key = key
        self._most_waiting = most_waiting
        self._at_once = at_once
        self._waiting: list[tuple[A, asyncio.Future[B]]] = []
        self._running: dict[asyncio.Task[None], frozenset[Hashable]] = {}
        self._gathering = False
        self._seen = self._still = 0
        self._closed = False

    async def add(self, entry: A) -> B:
        """The entry's result, once it is durable. Raises what `commit` raises, LogUnavailable if too many wait."""
        if self._closed or len(self._waiting) >= self._most_waiting:
            raise LogUnavailable(_CLOSED if self._closed else "more messages wait to be recorded than can be held")
        done: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        self._look()
        return await done

    def _look(self) -> None:
        """Gathers, if a commit may begin after that."""
        if self._gathering or not self._waiting or not self._may_begin():
            return
        self._gathering = True
        self._seen = self._still = 0
        self._gather()

    def _may_begin(self) -> bool:
        return not self._running or (len(self._waiting) >= ENOUGH and len(self._running) < self._at_once)

    def _gather(self) -> None:
        """Begins a commit once no more entries are coming, else asks again when the event loop has come round."""
        waiting = len(self._waiting)
        self._still = self._still + 1 if waiting == self._seen else 0
        self._seen = waiting
        loop = asyncio.get_running_loop()
        if waiting < ENOUGH and self._still < _STILL:
            loop.call_soon(self._gather)
            return
        self._gathering = False
        batch = self._next()
        if batch:
            task = loop.create_task(self._flush(batch))
            self._running[task] = frozenset(self._key(entry) for entry, _ in batch)
            task.add_done_callback(self._ended)
            if self._waiting:
                self._look()

    def _next(self) -> list[tuple[A, asyncio.Future[B]]]:
        """What waits and may be committed now."""
        if not self._running and len(self._waiting) <= BATCH_MAX:
            batch, self._waiting = self._waiting, []
            return batch
        busy = set[Hashable]().union(*self._running.values())
        batch, left = [], []
        for waiting in self._waiting:
            key = self._key(waiting[0])
            if len(batch) < BATCH_MAX and key not in busy:
                batch.append(waiting)
            else:
                busy.add(key)  # what comes after it with the same key stays behind it
                left.append(waiting)
        self._waiting = left
        return batch

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if self._closed:
            self._tell_closed()
        else:
            self._look()

    async def _flush(self, batch: list[tuple[A, asyncio.Future[B]]]) -> None:
        try:
            results = await self._commit([entry for entry, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            _fail(batch, error)
            return
        except BaseException:
            _fail(batch, LogUnavailable(_CLOSED))
            raise
        for (_, done), result in zip(batch, results, strict=True):
            if not done.done():
                done.set_result(result)

    async def close(self) -> None:
        """Lets what came until now end, for a while."""
        if self._waiting or self._running:
            idle = asyncio.ensure_future(self._idle())
            await asyncio.wait([idle], timeout=5)
            idle.cancel()
        self._closed = True
        for task in self._running:
            task.cancel()
        self._tell_closed()
        if self._running:
            await asyncio.wait(list(self._running))

    async def _idle(self) -> None:
        while self._running or self._waiting:
            if self._running:
                await asyncio.wait(list(self._running))
            await asyncio.sleep(0)

    def _tell_closed(self) -> None:
        waiting, self._waiting = self._waiting, []
        _fail(waiting, LogUnavailable(_CLOSED))


_CLOSED = "the conversation log was closed"


def _fail(batch: list[tuple[A, asyncio.Future[B]]], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)
