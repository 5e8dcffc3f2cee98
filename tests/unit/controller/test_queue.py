"""The queue: each object once, one at a time, later after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from switchboard.controller import queue as module
from switchboard.controller.queue import Key, Queue
from switchboard.kube.errors import TooManyRequests, Unavailable

A, B = Key("Agent", "acme", "a"), Key("Agent", "acme", "b")


@asynccontextmanager
async def running(queue: Queue) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_added_many_times_is_reconciled_once() -> None:
    seen: list[Key] = []
    done = asyncio.Event()

    async def process(key: Key) -> None:
        seen.append(key)
        if key == B:
            done.set()

    queue = Queue(process, workers=1)
    for key in (A, A, A, B):
        queue.add(key)
    async with running(queue):
        await done.wait()
    assert seen == [A, B]


async def test_an_object_is_never_reconciled_twice_at_a_time_and_once_more_afterwards() -> None:
    active, most, count = 0, 0, 0
    release, again = asyncio.Event(), asyncio.Event()

    async def process(_: Key) -> None:
        nonlocal active, most, count
        active, count = active + 1, count + 1
        most = max(most, active)
        if count == 1:
            for _ in range(3):
                queue.add(A)
            release.set()
            for _ in range(20):  # the queue has more turns than it would take to begin it once more
                await asyncio.sleep(0)
        else:
            again.set()
        active -= 1

    queue = Queue(process, workers=4)
    queue.add(A)
    async with running(queue):
        await release.wait()
        await again.wait()
        while not queue.idle:
            await asyncio.sleep(0)
    assert (most, count) == (1, 2)


async def test_no_more_than_the_workers_at_once() -> None:
    active, most = 0, 0
    left = asyncio.Semaphore(0)

    async def process(_: Key) -> None:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0)
        active -= 1
        left.release()

    queue = Queue(process, workers=3)
    for index in range(20):
        queue.add(Key("Agent", "acme", str(index)))
    async with running(queue):
        for _ in range(20):
            await left.acquire()
    assert most == 3


async def test_the_earlier_of_two_plans_counts() -> None:
    times: list[float] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def process(_: Key) -> None:
        times.append(loop.time())
        done.set()

    queue = Queue(process, workers=1)
    start = loop.time()
    queue.add(A, after=60)
    queue.add(A, after=0.02)
    queue.add(A, after=90)
    async with running(queue):
        await done.wait()
    assert 0.015 < times[0] - start < 5


@pytest.mark.parametrize("error", [Unavailable("down"), RuntimeError("a bug")])
async def test_a_failure_is_tried_again_with_growing_pauses(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.002)
    pauses: list[float] = []
    original = Queue._pause

    def watched(self: Queue, key: Key, asked: float | None) -> float:
        pauses.append(original(self, key, asked))
        return pauses[-1]

    monkeypatch.setattr(Queue, "_pause", watched)
    count, done = 0, asyncio.Event()

    async def process(_: Key) -> None:
        nonlocal count
        count += 1
        if count <= 4:
            raise error
        done.set()

    queue = Queue(process, workers=1)
    queue.add(A)
    async with running(queue):
        await done.wait()
    assert len(pauses) == 4
    assert pauses[3] > pauses[0]


async def test_the_pause_that_the_server_asks_for_is_kept() -> None:
    async def process(_: Key) -> None: ...

    queue = Queue(process, workers=1)
    assert queue._pause(A, TooManyRequests("slow", retry_after=7).retry_after) >= 7


async def test_what_is_to_be_looked_at_again_is() -> None:
    count, done = 0, asyncio.Event()

    async def process(_: Key) -> float | None:
        nonlocal count
        count += 1
        if count == 3:
            done.set()
            return None
        return 0.001

    queue = Queue(process, workers=1)
    queue.add(A)
    async with running(queue):
        await done.wait()


async def test_one_that_takes_too_long_is_named() -> None:
    started = asyncio.Event()

    async def process(_: Key) -> None:
        started.set()
        await asyncio.Event().wait()

    queue = Queue(process, workers=1)
    queue.add(A)
    async with running(queue):
        await started.wait()
        assert queue.stuck(1000) is None
        why = queue.stuck(-1)
        assert why is not None


async def test_what_others_wait_for_goes_first_and_nothing_waits_for_ever() -> None:
    seen: list[str] = []
    done = asyncio.Event()

    async def process(key: Key) -> None:
        seen.append(key.kind)
        if len(seen) == 10:
            done.set()

    queue = Queue(process, workers=1, first=lambda key: key.kind == "Agent")
    for index in range(5):
        queue.add(Key("TwilioConnector", "acme", str(index)))
        queue.add(Key("Agent", "acme", str(index)))
    assert queue.busy
    async with running(queue):
        await done.wait()
    assert seen[:4] == ["Agent", "Agent", "Agent", "TwilioConnector"]
    assert seen[4:6] == ["Agent", "Agent"]
    assert seen[6:] == ["TwilioConnector"] * 4
