"""Group commit: whoever comes while a commit runs is in the next one. No timer: an idle log commits at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from switchboard.log.errors import LogUnavailable

A = TypeVar("A")
B = TypeVar("B")

BATCH_MAX = 256
"""Entries of one commit: what comes in a millisecond or two when the database is the limit."""


class GroupCommit(Generic[A, B]):
    """Hands entries to `commit` in batches, one batch at a time."""

    def __init__(self, commit: Callable[[Sequence[A]], Awaitable[Sequence[B]]], *, most_waiting: int = 20_000) -> None:
        """`commit` gives a result for each entry, in order, when all of them are durable."""
        self._commit = commit
        self._most_waiting = most_waiting
        self._waiting: list[tuple[A, asyncio.Future[B]]] = []
        self._running: asyncio.Task[None] | None = None

    async def add(self, entry: A) -> B:
        """The entry's result, once it is durable. Raises what `commit` raises, LogUnavailable if too many wait."""
        if len(self._waiting) >= self._most_waiting:
            raise LogUnavailable("more messages wait to be recorded than can be held")
        done: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await done

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
                await self._flush(batch)
        finally:
            self._running = None

    async def _flush(self, batch: list[tuple[A, asyncio.Future[B]]]) -> None:
        try:
            results = await self._commit([entry for entry, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            _fail(batch, error)
            return
        except BaseException:
            _fail([*batch, *self._waiting], LogUnavailable("the conversation log was closed"))
            self._waiting = []
            raise
        for (_, done), result in zip(batch, results, strict=True):
            if not done.done():
                done.set_result(result)

    async def close(self) -> None:
        """Lets what runs end, for a while."""
        if self._running is not None:
            await asyncio.wait([self._running], timeout=5)
            if self._running is not None:
                self._running.cancel()
                await asyncio.wait([self._running])


def _fail(batch: list[tuple[A, asyncio.Future[B]]], error: Exception) -> None:
    for _, done in batch:
        if not done.done():
            done.set_exception(error)
