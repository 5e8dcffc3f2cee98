"""The small parts: cursors, bounds, the bell, group commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switchboard.log import bounds, cursors
from switchboard.log.errors import LogUnavailable
from switchboard.log.postgres.committing import BATCH_MAX, ENOUGH, GroupCommit
from switchboard.log.postgres.rows import attributes
from switchboard.log.wakeups import ASK_SECONDS, Bell

TIMES = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(TIMES, st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_a_cursor_gives_back_what_it_was_made_of(time: datetime, key: str) -> None:
    assert cursors.decode(cursors.encode(time, key)) == (time, key)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_cursors(text: str) -> None:
    try:
        time, key = cursors.decode(text)
    except ValueError:
        return
    assert time.tzinfo is not None
    assert key


@given(st.text(alphabet=st.characters(codec=None), max_size=200), st.integers(min_value=1, max_value=300))
def test_whatever_strangers_send_becomes_text_that_every_store_takes(text: str, limit: int) -> None:
    cleaned = bounds.clean(text, limit)
    assert len(cleaned) <= limit
    assert "\0" not in cleaned
    assert cleaned.encode().decode() == cleaned


@example({"n" * 201: "v"})
@example({str(index): "v" for index in range(201)})
@given(st.dictionaries(st.text(max_size=30), st.text(alphabet=st.characters(codec=None), max_size=60), max_size=12))
def test_attributes_as_json_are_what_bounds_leave_of_them(given_: dict[str, str]) -> None:
    import json

    text = attributes(given_)
    assert (json.loads(text) if text else {}) == bounds.attributes(given_)


async def test_a_bell_wakes_every_listener_once_and_forgets_none_that_was_busy() -> None:
    bell = Bell()

    async def never() -> None:
        return None

    async with aclosing(bell.rings(never)) as first, aclosing(bell.rings(never)) as second, asyncio.timeout(5):  # type: ignore[type-var]
        await anext(first)
        await anext(second)
        bell.ring()
        bell.ring()
        await anext(first)  # rung while it was busy
        await anext(second)
        waiting = asyncio.ensure_future(anext(first))
        await asyncio.sleep(0)
        assert not waiting.done()
        bell.ring()
        await waiting


async def test_a_bell_rings_by_itself_when_something_falls_due() -> None:
    bell, asked = Bell(), 0

    async def due() -> float:
        nonlocal asked
        asked += 1
        return -1.0

    async with aclosing(bell.rings(due)) as rings, asyncio.timeout(5):  # type: ignore[type-var]
        for _ in range(3):
            await anext(rings)
    assert asked == 2


async def test_a_bell_that_never_rests_seldom_asks_what_falls_due() -> None:
    bell, asked = Bell(), 0
    rounds = 500

    async def due() -> float:
        nonlocal asked
        asked += 1
        asyncio.get_running_loop().call_soon(bell.ring)
        return 60.0

    async with aclosing(bell.rings(due)) as rings:
        began = time.monotonic()
        await anext(rings)
        for _ in range(rounds):
            asyncio.get_running_loop().call_soon(bell.ring)
            await anext(rings)
        took = time.monotonic() - began
    assert 1 <= asked <= 1 + took / ASK_SECONDS < rounds


class Disk:
    """Commits when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.flushes: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.commits = GroupCommit(self.commit, key=lambda entry: entry, at_once=1)

    async def commit(self, batch: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(batch))
        if (error := await self.flushes.get()) is not None:
            raise error
        return [entry * 10 for entry in batch]


async def begun(commits: GroupCommit[int, int], *entries: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(commits.add(entry)) for entry in entries]
    for _ in range(6):
        await asyncio.sleep(0)
    return tasks


async def test_whoever_comes_during_a_commit_is_in_the_next_with_all_others() -> None:
    disk = Disk()
    commits = disk.commits
    first = await begun(commits, 1)
    rest = await begun(commits, 2, 3, 4)
    assert disk.batches == [[1]]
    assert not any(task.done() for task in first + rest)
    disk.flushes.put_nowait(None)
    assert await asyncio.gather(*first) == [10]
    disk.flushes.put_nowait(None)
    assert await asyncio.gather(*rest) == [20, 30, 40]
    assert disk.batches == [[1], [2, 3, 4]]


async def test_a_commit_that_fails_is_told_to_its_own_and_to_no_other() -> None:
    disk = Disk()
    commits = disk.commits
    (first,) = await begun(commits, 1)
    (second,) = await begun(commits, 2)
    disk.flushes.put_nowait(LogUnavailable("away"))
    disk.flushes.put_nowait(None)
    with pytest.raises(LogUnavailable, match="away"):
        await first
    assert await second == 20


async def test_a_batch_is_bounded_and_so_is_the_queue() -> None:
    disk = Disk()
    commits = GroupCommit(disk.commit, key=lambda entry: entry, most_waiting=BATCH_MAX + 5, at_once=1)
    tasks = await begun(commits, 0)
    tasks += await begun(commits, *range(1, BATCH_MAX + 6))
    with pytest.raises(LogUnavailable, match="more messages wait"):
        await commits.add(-1)
    for _ in range(3):
        disk.flushes.put_nowait(None)
    assert await asyncio.gather(*tasks) == [entry * 10 for entry in range(BATCH_MAX + 6)]
    assert [len(batch) for batch in disk.batches] == [1, BATCH_MAX, 5]


async def test_whoever_waits_when_the_log_is_closed_is_told() -> None:
    disk = Disk()
    commits = disk.commits
    tasks = await begun(commits, 1) + await begun(commits, 2)
    [running] = commits._running
    running.cancel()
    disk.flushes.put_nowait(LogUnavailable("closed"))
    for task in tasks:
        with pytest.raises(LogUnavailable, match="closed"):
            await task


async def test_who_comes_while_the_event_loop_brings_others_is_in_the_same_commit() -> None:
    disk = Disk()
    first = asyncio.create_task(disk.commits.add(1))
    await asyncio.sleep(0)
    second = asyncio.create_task(disk.commits.add(2))
    disk.flushes.put_nowait(None)
    assert await asyncio.gather(first, second) == [10, 20]
    assert disk.batches == [[1, 2]]


async def test_enough_for_a_commit_begins_one_beside_another_but_never_for_the_same_key() -> None:
    disk = Disk()
    commits = GroupCommit(disk.commit, key=lambda entry: entry % 100, at_once=2)
    tasks = await begun(commits, 1)
    tasks += await begun(commits, 2, 101, 3, 201)
    assert disk.batches == [[1]], "too few for one more"
    tasks += await begun(commits, *range(10, 10 + ENOUGH))
    assert disk.batches[1][:3] == [2, 3, 10], "what has the key of a running commit waits for its end"
    assert not {101, 201} & set(disk.batches[1])
    tasks += await begun(commits, *range(30, 30 + ENOUGH))
    assert len(disk.batches) == 2, "no more than two at a time"
    for _ in range(8):
        disk.flushes.put_nowait(None)
    assert all(result % 10 == 0 for result in await asyncio.gather(*tasks))
    later = [entry for batch in disk.batches[2:] for entry in batch]
    assert later[:2] == [101, 201], "in the order in which they came"


async def test_a_closed_group_takes_nothing_and_lets_nobody_wait() -> None:
    disk = Disk()
    tasks = await begun(disk.commits, 1)
    tasks += await begun(disk.commits, 2)
    for _ in range(2):
        disk.flushes.put_nowait(None)
    await disk.commits.close()
    assert await asyncio.gather(*tasks) == [10, 20]
    with pytest.raises(LogUnavailable, match="closed"):
        await disk.commits.add(3)


async def test_a_caller_that_gives_up_takes_nobody_with_it() -> None:
    disk = Disk()
    commits = disk.commits
    impatient, patient = await begun(commits, 1, 2)
    impatient.cancel()
    await asyncio.sleep(0)
    disk.flushes.put_nowait(None)
    assert await patient == 20
    assert disk.batches == [[1, 2]]
