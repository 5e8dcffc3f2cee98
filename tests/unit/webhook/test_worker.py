"""A turn under its lease, from the claim to letting go; a worker takes as many as it may, and ends in peace."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from switchboard.log.errors import LeaseLost, LogUnavailable
from switchboard.log.records import Conversation, Execution, Message, Outcome, Reply, Turn
from switchboard.webhook import worker as worker_module
from switchboard.webhook.lease import Held, work
from switchboard.webhook.turns import Again, Ended
from switchboard.webhook.worker import Worker

NOW = datetime.now(UTC)
LEASE = 0.03


def turn(number: int = 1, state: str = "Running") -> Turn:
    conversation = Conversation(f"c-{number}", "support", "sms", "twilio", "SMS", "+15005550001", NOW)
    message = Message("in-1", conversation.name, "Inbound", "+1", "+2", "hi", NOW, 1, "Working")
    execution = Execution(f"c-{number}-1", conversation.name, "support", "v1", ["in-1"], cast("Any", state), NOW)
    return Turn(conversation, execution, [message], [], "pod", 1, NOW)


@dataclass
class Log:
    """Has turns, and remembers what became of them."""

    turns: list[Turn | Exception] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    renewals: list[Exception | None] = field(default_factory=list)
    renewed: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    rings: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    async def wakeups(self) -> AsyncIterator[None]:
        while True:
            await self.rings.get()
            yield

    async def claim(self, holder: str, revision: str, *, seconds: float, live: bool) -> Turn | None:
        assert live
        found = self.turns.pop(0) if self.turns else None
        if isinstance(found, Exception):
            raise found
        return found

    async def renew(self, held: Turn, *, seconds: float) -> Turn:
        error = self.renewals.pop(0) if self.renewals else None
        if error is not None:
            raise error
        self.renewed.set()
        return replace(held, expires=NOW + timedelta(hours=1))

    async def retry(self, held: Turn, outcome: Outcome, *, at: datetime, counts: bool) -> None:
        self.told.append(f"{'retry' if counts else 'leave'} {held.execution.name}")

    async def finish(self, held: Turn, outcome: Outcome, replies: list[Reply]) -> Turn:
        self.told.append(f"finish {held.execution.name}")
        return replace(held, execution=replace(held.execution, state="Succeeded"))

    async def release(self, held: Turn) -> None:
        self.told.append(f"release {held.execution.name}")
        self.released.set()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)


async def under_lease(log: Log, run: Callable[[Held], Awaitable[None]]) -> None:
    async with asyncio.timeout(5):
        await work(cast("Any", log), turn(), LEASE, run)


async def test_what_is_done_is_let_go_of() -> None:
    log = Log()

    async def run(held: Held) -> None:
        log.told.append("run")

    await under_lease(log, run)
    assert log.told == ["run", "release c-1-1"]


async def test_a_lease_is_renewed_while_the_work_runs_also_after_the_log_was_away() -> None:
    log = Log(renewals=[LogUnavailable("away"), LogUnavailable("away")])

    async def run(held: Held) -> None:
        await log.renewed.wait()
        await until(lambda: held.turn.expires > NOW)

    await under_lease(log, run)
    assert log.told == ["release c-1-1"]


async def test_a_lost_lease_stops_the_work_and_is_not_let_go_of() -> None:
    log = Log(renewals=[LeaseLost("another's")])

    async def run(held: Held) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.told.append("stopped")

    await under_lease(log, run)
    assert log.told == ["stopped"]


async def test_a_write_that_finds_the_lease_lost_ends_the_work_in_silence() -> None:
    log = Log()

    async def run(held: Held) -> None:
        raise LeaseLost("another's")

    await under_lease(log, run)
    assert log.told == []


async def test_work_that_is_stopped_ends_what_it_must_before_it_lets_go() -> None:
    log, begun = Log(), asyncio.Event()

    async def run(held: Held) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):
                await asyncio.sleep(0)
            log.told.append("the answer to the request is kept")

    working = asyncio.create_task(under_lease(log, run))
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert log.told == ["the answer to the request is kept", "release c-1-1"]


@dataclass
class Runner:
    """Answers when it is told to."""

    result: Ended | Again
    may: asyncio.Event = field(default_factory=asyncio.Event)
    ran: list[str] = field(default_factory=list)

    async def run(self, held: Turn, trace: str | None) -> Ended | Again:
        self.ran.append(held.execution.name)
        await self.may.wait()
        return self.result


@dataclass
class Sender:
    """Remembers."""

    log: Log

    async def send(self, held: Held) -> None:
        self.log.told.append(f"send {held.turn.execution.name} {held.turn.execution.state}")


ENDED = Ended(Outcome(), [])


def worker(log: Log, runner: Runner, *, live: bool = True, concurrency: int = 10) -> Worker:
    return Worker(
        cast("Any", log),
        cast("Any", runner),
        cast("Any", Sender(log)),
        "pod",
        "v1",
        lambda: live,
        concurrency,
        lease_seconds=30,
    )


async def stopped(made: Worker, running: asyncio.Task[None]) -> None:
    async with asyncio.timeout(5):
        await made.stop(5)
        await running


async def test_a_turn_is_run_finished_sent_and_let_go_of() -> None:
    log, runner = Log([turn()]), Runner(ENDED)
    made = worker(log, runner)
    running = asyncio.create_task(made.run())
    made.look()
    runner.may.set()
    await log.released.wait()
    await stopped(made, running)
    assert log.told == ["finish c-1-1", "send c-1-1 Succeeded", "release c-1-1"]


async def test_a_turn_that_has_ended_is_only_sent() -> None:
    log, runner = Log([turn(state="Succeeded")]), Runner(ENDED)
    made = worker(log, runner)
    running = asyncio.create_task(made.run())
    made.look()
    await log.released.wait()
    await stopped(made, running)
    assert runner.ran == []
    assert log.told == ["send c-1-1 Succeeded", "release c-1-1"]


@pytest.mark.parametrize(("counts", "told"), [(True, "retry c-1-1"), (False, "leave c-1-1")])
async def test_what_gave_nothing_is_put_off_and_not_let_go_of_twice(counts: bool, told: str) -> None:
    log, runner = Log([turn()]), Runner(Again(Outcome("Failed"), NOW, counts))
    made = worker(log, runner)
    running = asyncio.create_task(made.run())
    made.look()
    runner.may.set()
    await until(lambda: bool(log.told) and not made.running)
    await stopped(made, running)
    assert log.told == [told]


async def test_no_more_turns_run_at_once_than_are_allowed_and_the_next_begins_when_one_ends() -> None:
    log, runner = Log([turn(1), turn(2), turn(3)]), Runner(ENDED)
    made = worker(log, runner, concurrency=2)
    running = asyncio.create_task(made.run())
    made.look()
    await until(lambda: len(runner.ran) == 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (len(runner.ran), made.running, len(log.turns)) == (2, 2, 1)
    runner.may.set()
    await until(lambda: len(runner.ran) == 3)
    await stopped(made, running)


async def test_a_superseded_revision_claims_nothing() -> None:
    log = Log([turn()])
    made = worker(log, Runner(ENDED), live=False)
    running = asyncio.create_task(made.run())
    made.look()
    for _ in range(20):
        await asyncio.sleep(0)
    await stopped(made, running)
    assert len(log.turns) == 1


async def test_a_log_that_is_away_is_asked_again_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    log, runner = Log([LogUnavailable("away"), turn()]), Runner(ENDED)
    runner.may.set()
    sleep = asyncio.sleep
    monkeypatch.setattr(worker_module.asyncio, "sleep", lambda _: sleep(0))
    made = worker(log, runner)
    running = asyncio.create_task(made.run())
    made.look()
    await log.released.wait()
    await stopped(made, running)
    assert runner.ran == ["c-1-1"]


async def test_a_claim_that_never_ends_is_told_to_the_liveness_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    log, asked = Log(), asyncio.Event()

    async def hangs(*arguments: Any, **options: Any) -> Turn | None:
        asked.set()
        await asyncio.Event().wait()
        return None

    monkeypatch.setattr(log, "claim", hangs)
    made = worker(log, Runner(ENDED))
    running = asyncio.create_task(made.run())
    assert not made.stuck
    made.look()
    await asked.wait()
    assert not made.stuck
    monkeypatch.setattr(worker_module, "STUCK_SECONDS", -1.0)
    assert made.stuck
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not made.stuck


async def test_a_ring_of_the_log_makes_the_worker_look() -> None:
    log, runner = Log(), Runner(ENDED)
    runner.may.set()
    made = worker(log, runner)
    running, listening = asyncio.create_task(made.run()), asyncio.create_task(made.listen())
    for _ in range(5):
        await asyncio.sleep(0)
    log.turns.append(turn())
    log.rings.put_nowait(None)
    await log.released.wait()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await stopped(made, running)
    assert runner.ran == ["c-1-1"]


async def test_a_worker_that_found_nothing_looks_a_few_times_more_and_then_rests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log, looks = Log(), list[int]()
    monkeypatch.setattr(worker_module, "AFTERTHOUGHTS", (0.0, 0.0, 0.0))
    claim = log.claim

    async def counted(*arguments: Any, **options: Any) -> Turn | None:
        looks.append(1)
        return await claim(*arguments, **options)

    monkeypatch.setattr(log, "claim", counted)
    made = worker(log, Runner(ENDED))
    running = asyncio.create_task(made.run())
    made.look()
    await until(lambda: len(looks) == 4)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(looks) == 4
    await stopped(made, running)


async def test_at_the_end_what_runs_may_end_and_nothing_more_begins() -> None:
    log, runner = Log([turn(1)]), Runner(ENDED)
    made = worker(log, runner)
    running = asyncio.create_task(made.run())
    made.look()
    await until(lambda: bool(runner.ran))
    stopping = asyncio.create_task(made.stop(5))
    await asyncio.sleep(0)
    log.turns.append(turn(2))
    made.look()
    runner.may.set()
    async with asyncio.timeout(5):
        await stopping
        await running
    assert log.told == ["finish c-1-1", "send c-1-1 Succeeded", "release c-1-1"]
    assert len(log.turns) == 1


async def test_what_does_not_end_in_its_time_is_let_go_of_for_others() -> None:
    log, runner = Log([turn(1)]), Runner(ENDED)
    made = worker(log, runner)
    running = asyncio.create_task(made.run())
    made.look()
    await until(lambda: bool(runner.ran))
    async with asyncio.timeout(5):
        await made.stop(0.01)
        await running
    assert log.told == ["release c-1-1"]
