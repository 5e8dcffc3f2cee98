"""Takes turns from the log, several conversations at once, each under its lease."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from switchboard.log.errors import LogUnavailable
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import Turn
from switchboard.telemetry import traces
from switchboard.telemetry.logs import trace_id
from switchboard.webhook import metrics
from switchboard.webhook.lease import Held, work
from switchboard.webhook.sending import Sender
from switchboard.webhook.turns import Again, Runner

log = logging.getLogger(__name__)

AFTERTHOUGHTS = (0.25, 1.0, 4.0)
"""Seconds after which a worker that found nothing looks again, should whoever had locked what it was woken for have
died before it rang. Without a new wake-up it then rests."""
STUCK_SECONDS = 120.0
"""Far more than the log may take to say that there is no turn, or that it is away."""


@dataclass(slots=True)
class Worker:
    """One pod's worker."""

    conversations: ConversationLog
    runner: Runner
    sender: Sender
    holder: str
    revision: str
    live: Callable[[], bool]
    concurrency: int
    lease_seconds: float
    _turns: set[asyncio.Task[None]] = field(default_factory=set)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: bool = False
    _claiming: float | None = None
    """When the claim that runs began, by the event loop's clock."""

    @property
    def stuck(self) -> bool:
        """Whether a claim neither ends nor fails: only a restart frees the worker then."""
        return self._claiming is not None and asyncio.get_running_loop().time() - self._claiming > STUCK_SECONDS

    @property
    def running(self) -> int:
        """Conversations that are worked on."""
        return len(self._turns)

    def look(self) -> None:
        """There may be something to claim."""
        self._wanted.set()

    async def listen(self) -> None:
        """Looks whenever the log says that there may be something; never ends."""
        async with aclosing(self.conversations.wakeups()) as wakeups:  # type: ignore[type-var]
            async for _ in wakeups:
                self.look()

    async def run(self) -> None:
        """Claims and runs turns until `stop`."""
        afterthoughts = iter(AFTERTHOUGHTS)
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next(afterthoughts, None)):
                    await self._wanted.wait()
                    afterthoughts = iter(AFTERTHOUGHTS)
            self._wanted.clear()
            while self._may_claim():
                turn = await self._claim()
                if turn is None:
                    break
                self._begin(turn)

    def _may_claim(self) -> bool:
        return not self._stopping and self.live() and len(self._turns) < self.concurrency

    async def _claim(self) -> Turn | None:
        self._claiming = asyncio.get_running_loop().time()
        try:
            return await self.conversations.claim(self.holder, self.revision, seconds=self.lease_seconds, live=True)
        except LogUnavailable as error:
            metrics.LOG_ERRORS.labels("claim").inc()
            log.warning("no turn can be claimed now", extra={"error": str(error)})
        finally:
            self._claiming = None
        await asyncio.sleep(0.5)
        self.look()
        return None

    def _begin(self, turn: Turn) -> None:
        task = asyncio.create_task(self._work(turn), name=f"turn {turn.execution.name}")
        self._turns.add(task)
        metrics.WORKING.set(len(self._turns))
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._turns.discard(task)
        metrics.WORKING.set(len(self._turns))
        self.look()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a turn failed in a way that it should not", exc_info=error, extra={"task": task.get_name()})
            metrics.TASK_FAILURES.labels("turn").inc()

    async def _work(self, turn: Turn) -> None:
        trace = turn.messages[0].name.removeprefix("in-") if turn.messages else turn.execution.trace_id
        trace_id.set(trace)
        await work(self.conversations, turn, self.lease_seconds, lambda held: self._turn(held, trace))

    async def _turn(self, held: Held, trace: str | None) -> None:
        turn = held.turn
        names = {"switchboard.execution": turn.execution.name, "switchboard.conversation": turn.conversation.name}
        with traces.span("turn", trace, names):
            await self._steps(held, turn, trace)

    async def _steps(self, held: Held, turn: Turn, trace: str | None) -> None:
        if turn.runs:
            log.info("turn begins", extra={"execution": turn.execution.name, "attempt": turn.execution.attempts})
            result = await self.runner.run(turn, trace)
            if isinstance(result, Again):
                again = result
                await held.write(
                    "retry",
                    lambda now: self.conversations.retry(now, again.outcome, at=again.at, counts=again.counts),
                )
                held.over = True
                return
            ended = result
            await held.advance("finish", lambda now: self.conversations.finish(now, ended.outcome, ended.replies))
        await self.sender.send(held)

    async def stop(self, seconds: float) -> None:
        """Claims nothing more, lets what runs end within `seconds`, and lets go of the rest."""
        self._stopping = True
        self.look()
        if self._turns:
            log.info("turns are given time to end", extra={"running": len(self._turns), "seconds": seconds})
            await asyncio.wait(self._turns, timeout=seconds)
        for task in self._turns:
            task.cancel()
        await asyncio.gather(*self._turns, return_exceptions=True)
