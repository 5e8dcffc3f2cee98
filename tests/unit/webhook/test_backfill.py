"""What Twilio took in an outage: answered or kept, by its age, in its order, each once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from tests.unit.webhook.fakes import ACCOUNT, ANN, BOB, OURS, Notebook, connectors, manifest

from switchboard.log import records
from switchboard.log.errors import LogError, LogFull, LogUnavailable
from switchboard.providers.errors import UnavailableError
from switchboard.providers.twilio.resources import Message
from switchboard.webhook.backfill import Backfill
from switchboard.webhook.connectors import Connector
from switchboard.webhook.deliveries import Deliveries
from switchboard.webhook.intake import MISSED, Desk, Taken
from switchboard.webhook.limits import RateLimiter
from switchboard.webhook.requests import Decisions

SETTLING, MISSING, INTERVAL = timedelta(seconds=20), timedelta(hours=1), 300.0


@dataclass
class Kept(Notebook):
    """A log with a lease to look under."""

    cursor: datetime | None = None
    forgotten: datetime | None = None
    held_by_another: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def backfill(self, connector: str, holder: str, *, seconds: float) -> records.Backfill | None:
        if self.held_by_another:
            self.ended.set()
            return None
        return records.Backfill(connector, holder, 1, datetime.now(UTC), self.cursor, self.forgotten)

    async def backfilled(self, backfill: records.Backfill, cursor: datetime | None) -> None:
        self.cursor = cursor
        self.ended.set()

    async def known(self, provider: str, account: str, message_ids: Sequence[str]) -> set[str]:
        return {one.message_id for one in self.inbound} & set(message_ids)

    async def undelivered(self, connector: str, **bounds: Any) -> list[records.Message]:
        return []


@dataclass
class Twilio:
    """What it has, newest first, as it lists it."""

    messages: list[Message]
    error: Exception | None = None
    asked: list[tuple[str, date | None]] = field(default_factory=list)

    async def list_messages(self, *, to: str, sent_since: date | None, limit: int) -> list[Message]:
        self.asked.append((to, sent_since))
        if self.error is not None:
            raise self.error
        return [one for one in self.messages if to in {"", one.to}]


def sent(body: str, age: timedelta, sender: str = ANN, **more: Any) -> Message:
    values: dict[str, Any] = {
        "sid": f"SM-{body}",
        "account_sid": ACCOUNT,
        "from": sender,
        "to": OURS,
        "body": body,
        "direction": "inbound",
        "date_sent": datetime.now(UTC) - age,
        **more,
    }
    return Message.model_validate(values)


@dataclass
class Outage:
    """A pod that looks."""

    log: Kept
    twilio: Twilio
    backfill: Backfill

    async def look(self) -> None:
        """One look."""
        self.log.ended.clear()
        running = asyncio.create_task(self.backfill.run())
        async with asyncio.timeout(5):
            await self.log.ended.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def outage(tmp_path: Path) -> Any:
    def made(*messages: Message, cursor: datetime | None = None, error: Exception | None = None, **spec: Any) -> Outage:
        twilio, log = Twilio(list(messages), error), Kept(cursor=cursor)
        built = connectors(tmp_path, manifest(channels=["SMS"], **spec))
        object.__setattr__(built.by_name["sms"], "client", twilio)
        typed = cast("Any", log)
        desk = Desk(typed, built, Decisions(), RateLimiter(burst=20, per_second=1))

        async def ask(connector: Connector, message: Any, taken: Taken) -> None:
            raise AssertionError("nobody is asked")

        backfill = Backfill(
            typed,
            built,
            desk,
            "pod",
            30,
            INTERVAL,
            SETTLING,
            MISSING,
            timedelta(days=30),
            ask,
            lambda: True,
            Deliveries(typed, []),
        )
        return Outage(log, twilio, backfill)

    return made


MINUTE = timedelta(minutes=1)


async def test_after_an_hours_outage_what_waited_is_answered_in_its_order_and_what_waited_longer_is_missed(
    outage: Any,
) -> None:
    away = outage(
        sent("just now", timedelta(seconds=3)),
        sent("ten", 10 * MINUTE),
        sent("fifty", 50 * MINUTE, BOB),
        sent("seventy", 70 * MINUTE),
        sent("a reply", 30 * MINUTE, direction="outbound-api"),
        cursor=datetime.now(UTC) - 90 * MINUTE,
    )
    await away.look()
    assert [(one.body, one.state) for one in away.log.inbound] == [
        ("seventy", "Missed"),
        ("fifty", "Waiting"),
        ("ten", "Waiting"),
    ]
    assert [one.error for one in away.log.inbound] == [MISSED, None, None]
    assert [one.time for one in away.log.inbound] == sorted(one.time for one in away.log.inbound)
    assert datetime.now(UTC) - away.log.cursor < SETTLING + timedelta(seconds=5)


async def test_a_second_look_finds_nothing_again_and_begins_a_little_before_the_first_ended(outage: Any) -> None:
    away = outage(sent("old", 50 * MINUTE), cursor=datetime.now(UTC) - 60 * MINUTE)
    await away.look()
    away.backfill.doubt("sms")
    away.twilio.messages[:0] = [sent("late in the list", 2 * MINUTE), sent("before the overlap", 20 * MINUTE)]
    away.log.cursor = datetime.now(UTC) - MINUTE
    away.backfill._looked.clear()
    await away.look()
    assert [one.body for one in away.log.inbound] == ["old", "late in the list"]


async def test_what_is_found_is_logged_as_what_a_webhook_brings(outage: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    away = outage(sent("old", 50 * MINUTE), cursor=datetime.now(UTC) - 60 * MINUTE)
    await away.look()
    [line] = [one for one in caplog.records if one.getMessage() == "message recorded"]
    assert line.__dict__["sid"] == away.twilio.messages[0].sid


async def test_a_look_that_failed_moves_no_cursor(outage: Any) -> None:
    cursor = datetime.now(UTC) - 60 * MINUTE
    away = outage(cursor=cursor, error=UnavailableError("busy", reason="TooManyRequests", status=429))
    await away.look()
    assert away.log.cursor == cursor
    assert away.log.inbound == []


async def test_nothing_from_before_the_connector_or_behind_the_retentions_edge_is_looked_for(outage: Any) -> None:
    away = outage(sent("of last year", timedelta(days=31)), sent("of now", 30 * MINUTE))
    await away.look()
    assert [one.body for one in away.log.inbound] == ["of now"]


async def test_what_a_full_log_has_forgotten_is_not_taken_for_missed(
    outage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    away = outage(
        sent("forgotten", 4 * MINUTE),
        sent("at the same time by another clock", 3 * MINUTE - timedelta(seconds=10)),
        sent("missed", 2 * MINUTE),
        cursor=datetime.now(UTC) - MINUTE,
    )
    away.backfill.doubt("sms")
    away.log.forgotten = datetime.now(UTC) - 3 * MINUTE
    await away.look()
    assert [one.body for one in away.log.inbound] == ["missed"]
    assert "has forgotten" not in caplog.text
    away.log.cursor = datetime.now(UTC) - 10 * MINUTE
    away.backfill._looked.clear()
    await away.look()
    assert [one.body for one in away.log.inbound] == ["missed"]
    assert "has forgotten messages of a time that was not looked at" in caplog.text


async def test_what_is_not_kept_is_not_told_as_found_at_every_look(
    outage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def counted(outcome: str) -> float:
        labels = {"connector": "sms", "state": outcome}
        return sum(
            REGISTRY.get_sample_value(f"switchboard_{name}_total", labels) or 0
            for name in ("backfilled_messages", "messages_recorded")
        )

    away = outage(sent("let me in", 2 * MINUTE, BOB), sent("Hi", 2 * MINUTE, "ACME"), access={"policy": "AllowList"})
    before = counted("Refused")
    await away.look()
    assert [one.state for one in away.log.inbound] == ["Refused"]
    assert "messages were found" not in caplog.text
    assert counted("Refused") == before


async def test_a_message_that_can_never_be_recorded_hides_no_other(
    outage: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = outage(sent("after it", 10 * MINUTE), sent("never", 20 * MINUTE), sent("before it", 30 * MINUTE))
    record = away.log.record

    async def particular(inbound: records.Inbound) -> records.Recorded:
        if inbound.body == "never":
            raise LogError("the API server finds it invalid")
        return cast("records.Recorded", await record(inbound))

    monkeypatch.setattr(away.log, "record", particular)
    await away.look()
    assert [one.body for one in away.log.inbound] == ["before it", "after it"]
    assert away.log.cursor is not None
    assert "cannot be recorded" in caplog.text


@pytest.mark.parametrize("error", [LogUnavailable("away"), LogFull("full")])
async def test_a_log_that_takes_nothing_now_is_asked_again_for_all(outage: Any, error: LogError) -> None:
    away = outage(sent("ten", 10 * MINUTE))
    away.log.error = error
    await away.look()
    assert away.log.cursor is None
    away.log.error = None
    away.backfill._looked.clear()
    await away.look()
    assert [one.body for one in away.log.inbound] == ["ten"]


async def test_where_another_pod_looks_nothing_is_asked(outage: Any) -> None:
    away = outage(sent("ten", 10 * MINUTE))
    away.log.held_by_another = True
    await away.look()
    assert away.twilio.asked == []


async def test_of_numbers_in_a_messaging_service_only_that_services_messages_are_taken(outage: Any) -> None:
    service = "MG" + "b" * 32
    away = outage(
        sent("ours", 10 * MINUTE, messaging_service_sid=service),
        sent("of another", 11 * MINUTE, messaging_service_sid="MG" + "c" * 32),
        sent("of none", 12 * MINUTE),
        fromNumber=None,
        messagingServiceSid=service,
    )
    await away.look()
    assert [one.body for one in away.log.inbound] == ["ours"]
