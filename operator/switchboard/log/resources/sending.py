"""Attempts to send: each recorded by compare-and-set before its request is made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from switchboard.api.conversation import SendAttempt
from switchboard.kube.resources import EXECUTIONS, Object
from switchboard.log import bounds
from switchboard.log.clock import Clock
from switchboard.log.errors import LeaseLost, OptedOut
from switchboard.log.protocol import LEASE_MARGIN_SECONDS, UNCONFIRMED_SECONDS
from switchboard.log.records import Attempt, DeliveryNews, Message, Turn
from switchboard.log.resources.objects import KeptMessage, stamp
from switchboard.log.resources.projection import Projection
from switchboard.log.resources.receiving import news_patch
from switchboard.log.resources.store import Store
from switchboard.log.resources.turns import Turns, opted_out
from switchboard.log.transitions import apply_news, is_current, next_attempt_id
from switchboard.providers.base import DeliveryState


class Sending:
    """What a worker writes about the parts of its turn."""

    def __init__(self, store: Store, turns: Turns, projection: Projection, clock: Clock) -> None:
        self._store = store
        self._turns = turns
        self._projection = projection
        self._clock = clock

    async def begin_attempt(self, turn: Turn, message: Message, *, seconds: float) -> Attempt:
        """As the protocol says."""
        now = self._clock.now()
        deadline = now + timedelta(seconds=seconds)
        await self._hold(turn, until=deadline)
        stopped = self._store.index.thread(turn.conversation.name).opted_out

        def change(kept: KeptMessage) -> Object | None:
            self._check(turn, kept)
            if kept.record.state != "Sending":
                return None
            if kept.record.attempt is not None:
                if _ours_unseen(kept.record, message, turn):
                    return None
                raise LeaseLost(f"message {message.name} has an attempt that nobody has confirmed or refused")
            return opted_out() if stopped else _beginning(kept.record, turn, now, deadline)

        kept = await self._store.change_message(message.name, change)
        if kept is None:
            raise LeaseLost(f"message {message.name} was deleted")
        if kept.record.state == "Cancelled":
            raise OptedOut("the contact sent STOP")
        if kept.record.attempt is None:
            raise LeaseLost(f"message {message.name} is {kept.record.state}")
        return kept.record.attempt

    async def _hold(self, turn: Turn, *, until: datetime) -> None:
        """Proves the lease, and makes it outlast the request, if it does not by far."""
        enough = until + timedelta(seconds=LEASE_MARGIN_SECONDS)
        kept = self._store.index.executions.get(turn.execution.name)
        if kept is not None:
            self._turns.check(turn, kept)
            if kept.lease is not None and kept.lease.holder and kept.lease.expires >= enough:
                return
        await self._turns.renew(turn, seconds=(enough - self._clock.now()).total_seconds())

    @staticmethod
    def _check(turn: Turn, kept: KeptMessage) -> None:
        if kept.fence > turn.fence:
            raise LeaseLost(f"message {kept.record.name} is another worker's (fence {kept.fence} > {turn.fence})")

    async def confirm(self, turn: Turn, attempt: Attempt, message_id: str, state: DeliveryState) -> None:
        """As the protocol says."""
        news = DeliveryNews(message_id, state, attempt=attempt.id)
        kept = await self._store.change_message(attempt.message, lambda kept: news_patch(apply_news(kept.record, news)))
        self._projection.soon(turn.conversation.name)
        if kept is not None:
            self._check(turn, kept)
        execution = self._store.index.executions.get(turn.execution.name)
        if execution is not None:
            self._turns.check(turn, execution)

    async def refuse(
        self, turn: Turn, attempt: Attempt, *, code: int | None, error: str, retry_at: datetime | None
    ) -> None:
        """As the protocol says."""
        said: Object = {"attempt": None, "errorCode": code, "error": bounds.clean(error, bounds.REASON_MAX)}
        after: Object = {"state": "Failed"} if retry_at is None else {"notBefore": stamp(retry_at)}
        await self._end(turn, attempt, said | after)

    async def unknown(self, turn: Turn, attempt: Attempt, *, error: str, again: bool) -> None:
        """As the protocol says."""
        if self._clock.now() < attempt.unconfirmed_after:
            raise ValueError(f"attempt {attempt.id} may yet be confirmed: release the turn until unconfirmed_after")
        state = "Sending" if again else "DeliveryUnknown"
        await self._end(
            turn, attempt, {"state": state, "attempt": None, "error": bounds.clean(error, bounds.REASON_MAX)}
        )

    async def _end(self, turn: Turn, attempt: Attempt, status: Object) -> None:
        def change(kept: KeptMessage) -> Object | None:
            self._check(turn, kept)
            return status if is_current(kept.record, attempt.id) else None

        await self._write(turn, attempt.message, change)

    async def postpone(self, turn: Turn, message: Message, *, error: str, at: datetime) -> None:
        """As the protocol says."""

        def change(kept: KeptMessage) -> Object | None:
            self._check(turn, kept)
            if kept.record.state != "Sending" or kept.record.attempts != message.attempts:
                return None
            doubted = kept.record.attempt is not None
            until: Object = {"attempt": {"unconfirmedAfter": stamp(at)}} if doubted else {"notBefore": stamp(at)}
            return until | {"error": bounds.clean(error, bounds.REASON_MAX)}

        await self._write(turn, message.name, change)

    async def cancel(self, turn: Turn, message: Message, *, error: str) -> None:
        """As the protocol says."""

        def change(kept: KeptMessage) -> Object | None:
            self._check(turn, kept)
            cancels = kept.record.state == "Sending" and kept.record.attempt is None
            return {"state": "Cancelled", "error": bounds.clean(error, bounds.REASON_MAX)} if cancels else None

        await self._write(turn, message.name, change)

    async def _write(self, turn: Turn, message: str, change: Callable[[KeptMessage], Object | None]) -> None:
        await self._still_ours(turn)
        await self._store.change_message(message, change)
        self._projection.soon(turn.conversation.name)

    async def _still_ours(self, turn: Turn) -> None:
        """Asks, if the lease has run out by our clock: the watch may lag behind who took it."""
        kept = self._store.index.executions.get(turn.execution.name)
        if kept is None or kept.lease is None or kept.lease.expires <= self._clock.now():
            await self._store.refresh(EXECUTIONS, turn.execution.name)
            kept = self._store.index.executions.get(turn.execution.name)
        if kept is not None:
            self._turns.check(turn, kept)


def _beginning(record: Message, turn: Turn, now: datetime, deadline: datetime) -> Object:
    attempt = SendAttempt(
        id=next_attempt_id(record),
        fence=turn.fence,
        deadline=deadline,
        unconfirmed_after=now + timedelta(seconds=UNCONFIRMED_SECONDS),
    )
    return {
        "state": "Sending",
        "execution": record.execution,
        "attempt": attempt.manifest(),
        "attempts": record.attempts + 1,
        "notBefore": None,
    }


def _ours_unseen(record: Message, seen: Message, turn: Turn) -> bool:
    """Whether we began it and were not told: the answer to our write was lost, and no request was made."""
    return record.attempt is not None and record.attempt.fence == turn.fence and record.attempts == seen.attempts + 1
