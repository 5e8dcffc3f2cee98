"""The queue: each key once, never by two at a time, and again after an error."""

from __future__ import annotations

import asyncio

import pytest

from kubesandbox.client import ApiError, Key
from kubesandbox.controllers import loop
from kubesandbox.controllers.loop import Queue, work


async def test_a_key_is_worked_on_once_however_often_it_is_added() -> None:
    queue, seen = Queue(), []

    async def reconcile(key: Key) -> None:
        seen.append(key)

    for _ in range(3):
        queue.add(("ns", "a"))
    queue.add(("ns", "b"))
    await _until(queue, reconcile, lambda: len(seen) >= 2)
    assert seen == [("ns", "a"), ("ns", "b")]


async def test_a_key_that_changes_while_it_is_worked_on_is_worked_on_again_and_not_at_once() -> None:
    queue, running, runs = Queue(), 0, []

    async def reconcile(key: Key) -> None:
        nonlocal running
        running += 1
        assert running == 1
        if not runs:
            queue.add(key)
            queue.add(key)
            await asyncio.sleep(0)
        runs.append(key)
        running -= 1

    queue.add(("ns", "a"))
    await _until(queue, reconcile, lambda: len(runs) >= 2)
    assert len(runs) == 2


@pytest.mark.parametrize("error", [ApiError(409, "Conflict", "again"), TimeoutError(), OSError(), ValueError("a bug")])
async def test_an_error_is_tried_again_and_stops_nothing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "FIRST_DELAY", 0.001)
    queue, seen = Queue(), []

    async def reconcile(key: Key) -> None:
        seen.append(key[1])
        if seen.count("a") < 3 and key[1] == "a":
            raise error

    queue.add(("ns", "a"))
    queue.add(("ns", "b"))
    await _until(queue, reconcile, lambda: seen.count("a") == 3)
    assert seen.count("b") == 1


async def test_the_earlier_of_two_later_times_counts() -> None:
    queue, seen = Queue(), []

    async def reconcile(key: Key) -> None:
        seen.append(key)

    queue.add_after(("ns", "a"), 3600)
    queue.add_after(("ns", "a"), 0)
    queue.add_after(("ns", "a"), 1800)
    await _until(queue, reconcile, lambda: bool(seen))


async def _until(queue: Queue, reconcile: object, done: object) -> None:
    running = asyncio.create_task(work("test", queue, reconcile))  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while not done():  # type: ignore[operator]
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
