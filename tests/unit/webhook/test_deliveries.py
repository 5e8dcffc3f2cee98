"""When replies are looked up whose delivery nobody told, and what one look may cost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.webhook.fakes import ANN, OURS, Notebook

from switchboard.log.records import Message
from switchboard.providers.base import DeliveryState
from switchboard.providers.errors import NotFoundError, ProviderError, UnavailableError
from switchboard.providers.twilio import resources
from switchboard.webhook.connectors import Connector
from switchboard.webhook.deliveries import LOOKS_MAX, Deliveries, windows

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AGES = [timedelta(minutes=2), timedelta(hours=1), timedelta(hours=6)]
MINUTES = st.integers(0, 2000).map(lambda minutes: NOON + timedelta(minutes=minutes))


@given(made=MINUTES, passes=st.lists(MINUTES, min_size=2, max_size=30))
def test_over_any_looks_a_reply_is_looked_up_at_each_age_once_at_most_and_at_last(
    made: datetime, passes: list[datetime]
) -> None:
    passes.sort()
    seen = 0
    for since, until in itertools.pairwise(passes):
        found = [window for window in windows(AGES, since, until) if window[0] <= made < window[1]]
        assert len(found) <= 1
        seen += len(found)
    assert seen <= len(AGES)
    came_to = [age for age in AGES if passes[0] <= made + age < passes[-1]]
    assert (seen > 0) == bool(came_to)


@dataclass
class Kept(Notebook):
    """A log that has replies."""

    sids: Sequence[str] = ()
    asked: list[int] = field(default_factory=list)

    async def undelivered(self, connector: str, *, since: datetime, until: datetime, limit: int) -> Sequence[Message]:
        self.asked.append(limit)
        taken, self.sids = self.sids[:limit], self.sids[limit:]
        return [
            Message(sid, "c-1", "Outbound", OURS, ANN, "x", NOON, 1, "Sent", provider_message_id=sid) for sid in taken
        ]


@dataclass
class Client:
    """Twilio."""

    says: dict[str, resources.Message | ProviderError]
    asked: list[str] = field(default_factory=list)

    async def read_message(self, sid: str) -> resources.Message:
        self.asked.append(sid)
        said = self.says.get(sid, resources.Message(sid=sid, status="delivered"))
        if isinstance(said, ProviderError):
            raise said
        return said


@dataclass
class Line:
    """What of a connector is used."""

    client: Client
    name: str = "sms"
    label: str = "sms"


async def look(kept: Kept, client: Client) -> None:
    line = cast("Connector", Line(client))
    await Deliveries(cast("Any", kept), AGES).look(line, NOON, NOON + timedelta(minutes=5), seconds=5)


async def test_what_twilio_says_is_delivered_by_its_sid_with_the_codes_meaning() -> None:
    kept = Kept(sids=["SM1", "SM2", "SM3"])
    failed = resources.Message(sid="SM2", status="undelivered", error_code=30003)
    await look(kept, Client({"SM2": failed, "SM3": resources.Message(sid="SM3", status="a word of tomorrow")}))
    first, second = kept.news
    assert (first.message_id, first.state, first.attempt, first.error_code) == (
        "SM1",
        DeliveryState.DELIVERED,
        None,
        None,
    )
    assert (second.state, second.error_code) == (DeliveryState.UNDELIVERED, 30003)
    assert second.error


async def test_one_look_asks_for_so_many_and_no_more() -> None:
    kept, client = Kept(sids=[f"SM{index}" for index in range(3 * LOOKS_MAX)]), Client({})
    await look(kept, client)
    assert len(client.asked) == LOOKS_MAX
    assert kept.asked[0] == LOOKS_MAX


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (UnavailableError("Too many requests.", reason="TooManyRequests", code=20429, status=429), ["SM1", "SM2"]),
        (NotFoundError("It is gone.", reason="NotFound", status=404), ["SM1", "SM2", "SM3"]),
    ],
)
async def test_a_busy_twilio_ends_the_look_and_a_deleted_message_does_not(
    error: ProviderError, asked: list[str]
) -> None:
    client = Client({"SM2": error})
    await look(Kept(sids=["SM1", "SM2", "SM3"]), client)
    assert client.asked == asked
