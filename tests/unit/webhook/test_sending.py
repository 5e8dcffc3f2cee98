"""What becomes of a reply's attempt: confirmed, put off, refused, found, waited for, told, or made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.webhook.fakes import ANN, OURS, connectors, write_secret

from switchboard.api.runtime import OVERRIDES
from switchboard.log.errors import OptedOut
from switchboard.log.records import Attempt, Conversation, DeliveryNews, Execution, Message, Turn
from switchboard.providers.base import DeliveryState, OutboundMessage, SendResult
from switchboard.providers.errors import CredentialsError, OutcomeUnknownError, RejectedError, UnavailableError
from switchboard.providers.twilio import resources
from switchboard.webhook.connectors import ELSEWHERE_MOST, Connector, Connectors
from switchboard.webhook.lease import Held
from switchboard.webhook.sending import SENDS_MAX, WINDOW, Sender

NOW = datetime.now(UTC)
MOST = 3
SECOND = timedelta(seconds=1)
BUSY = UnavailableError("busy", reason="TooManyRequests", code=20429, status=429, retry_after=7)
DENIED = CredentialsError("no", reason="CredentialsInvalid", code=20003, status=401)
NEVER = RejectedError("never", reason="OptedOut", code=21610, status=400)
DOUBT = OutcomeUnknownError("who knows", reason="OutcomeUnknown")


def part(number: int = 1, **more: Any) -> Message:
    name = f"c-{'0' * 20}-1-{number}"
    values: dict[str, Any] = {"state": "Sending", "execution": name.rpartition("-")[0], **more}
    return Message(name, f"c-{'0' * 20}", "Outbound", OURS, ANN, f"answer {number}", NOW, number, **values)


def attempted(message: Message, number: int = 1, *, age: float = 0) -> Message:
    """With an attempt that began `age` seconds ago and that nobody confirmed."""
    began = datetime.now(UTC) - timedelta(seconds=age)
    attempt = Attempt(f"{message.name}.{number}", message.name, number, 1, began + 12 * SECOND, began + 120 * SECOND)
    return replace(message, attempt=attempt, attempts=number)


@dataclass
class Log:
    """Remembers what it was told."""

    told: list[tuple[Any, ...]] = field(default_factory=list)
    opted_out: bool = False
    late: float = 0
    kept: Sequence[Message] = ()

    async def begin_attempt(self, turn: Turn, message: Message, *, seconds: float) -> Attempt:
        if self.opted_out:
            raise OptedOut("stop")
        number, now = message.attempts + 1, datetime.now(UTC) - timedelta(seconds=self.late)
        self.told.append(("begin", number))
        end = now + timedelta(seconds=seconds)
        return Attempt(f"{message.name}.{number}", message.name, number, 1, end, now + 120 * SECOND)

    async def confirm(self, turn: Turn, attempt: Attempt, message_id: str, state: DeliveryState) -> None:
        self.told.append(("confirm", attempt.number, message_id))

    async def refuse(
        self, turn: Turn, attempt: Attempt, *, code: int | None, error: str, retry_at: datetime | None = None
    ) -> None:
        self.told.append(("refuse", code, error.partition(":")[0], retry_at is not None))
        if retry_at is not None:
            assert retry_at > datetime.now(UTC)

    async def unknown(self, turn: Turn, attempt: Attempt, *, error: str, again: bool = False) -> None:
        self.told.append(("unknown", attempt.number, again))

    async def postpone(self, turn: Turn, message: Message, *, error: str, at: datetime) -> None:
        assert at > datetime.now(UTC)
        self.told.append(("postpone", message.attempts, error.partition(":")[0]))

    async def cancel(self, turn: Turn, message: Message, *, error: str) -> None:
        self.told.append(("cancel", error.partition(":")[0]))

    async def deliver(self, news: DeliveryNews) -> str:
        self.told.append(("deliver", news.attempt, news.message_id))
        return "Adopted"

    async def in_doubt(self, recipient: str, *, since: datetime) -> Sequence[Message]:
        assert since < datetime.now(UTC) - timedelta(minutes=10)
        return [one for one in self.kept if one.recipient == recipient and one.provider_message_id is None]

    async def sent(self, message_ids: Sequence[str]) -> set[str]:
        return {one.provider_message_id for one in self.kept if one.provider_message_id in message_ids}


@dataclass
class Client:
    """Twilio: what it answers, in turn; then it takes everything."""

    answers: list[Exception] = field(default_factory=list)
    has: list[resources.Message] = field(default_factory=list)
    posted: list[OutboundMessage] = field(default_factory=list)
    within: list[float] = field(default_factory=list)

    async def send(self, message: OutboundMessage, *, within: float) -> SendResult:
        self.posted.append(message)
        self.within.append(within)
        if self.answers:
            raise self.answers.pop(0)
        return SendResult(f"SM{len(self.posted)}", DeliveryState.QUEUED, 1)

    async def list_messages(self, *, to: str, limit: int) -> list[resources.Message]:
        return self.has


@dataclass
class Desk:
    """A sender with all it needs."""

    log: Log
    client: Client
    connectors: Connectors
    sender: Sender
    told: list[str]

    async def send(
        self, *parts: Message, channel: str = "SMS", connector: str = "sms", age: timedelta = SECOND
    ) -> None:
        conversation = Conversation(f"c-{'0' * 20}", "support", connector, "twilio", cast("Any", channel), ANN, NOW)
        asked = Message("in-1", conversation.name, "Inbound", ANN, OURS, "hi", datetime.now(UTC) - age, 1, "Answered")
        execution = Execution(f"{conversation.name}-1", conversation.name, "support", "v1", ["in-1"], "Succeeded", NOW)
        turn = Turn(conversation, execution, [asked], list(parts), "pod", 1, NOW + 30 * SECOND)
        await self.sender.send(Held(cast("Any", self.log), turn))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    log, client, told = Log(), Client(), list[str]()
    built = connectors(tmp_path)

    async def tell(connector: Connector | None, message: Message) -> None:
        told.append(message.name)

    object.__setattr__(built.by_name["sms"], "client", client)
    return Desk(log, client, built, Sender(cast("Any", log), built, 10, MOST, tell), told)


async def test_parts_are_sent_in_order_each_under_its_attempts_address(desk: Desk) -> None:
    await desk.send(part(1), part(2))
    assert desk.log.told == [("begin", 1), ("confirm", 1, "SM1"), ("begin", 1), ("confirm", 1, "SM2")]
    assert [one.body for one in desk.client.posted] == ["answer 1", "answer 2"]
    assert [one.status_callback.rpartition("/")[2] for one in desk.client.posted] == [
        f"{part(1).name}.1{OVERRIDES}",  # Twilio tells it once, unless it is asked to try again
        f"{part(2).name}.1{OVERRIDES}",
    ]
    assert all(0 < within <= 10 for within in desk.client.within)


@pytest.mark.parametrize(("error", "code"), [(BUSY, 20429), (DENIED, 20003)])
async def test_what_was_surely_not_taken_is_put_off_and_what_follows_waits_for_it(
    desk: Desk, error: Any, code: int
) -> None:
    desk.client.answers = [error]
    await desk.send(part(1), part(2))
    assert desk.log.told == [("begin", 1), ("refuse", code, error.reason, True)]


@pytest.mark.parametrize("error", [BUSY, DENIED])
async def test_what_is_put_off_too_often_fails_and_what_follows_goes_on(desk: Desk, error: Any) -> None:
    desk.client.answers = [error]
    await desk.send(part(1, attempts=MOST - 1), part(2))
    assert desk.log.told == [
        ("begin", MOST),
        ("refuse", error.code, error.reason, False),
        ("begin", 1),
        ("confirm", 1, "SM2"),
    ]


async def test_refused_credentials_are_read_again_for_the_next_attempt(desk: Desk, tmp_path: Path) -> None:
    write_secret(tmp_path, authToken="rotated")
    desk.client.answers = [DENIED]
    await desk.send(part(1))
    assert desk.connectors.by_name["sms"].credentials.tokens == ("rotated",)


async def test_a_refusal_is_not_repeated_and_what_follows_goes_on(desk: Desk) -> None:
    desk.client.answers = [NEVER]
    await desk.send(part(1), part(2))
    assert desk.log.told == [("begin", 1), ("refuse", 21610, "OptedOut", False), ("begin", 1), ("confirm", 1, "SM2")]


async def test_before_its_time_nothing_is_sent(desk: Desk) -> None:
    await desk.send(part(1, not_before=datetime.now(UTC) + 60 * SECOND), part(2))
    assert desk.log.told == []
    await desk.send(part(1, not_before=datetime.now(UTC) - SECOND))
    assert desk.log.told == [("begin", 1), ("confirm", 1, "SM1")]


async def test_a_process_that_stood_still_past_its_deadline_sends_nothing(desk: Desk) -> None:
    desk.log.late = 11
    await desk.send(part(1))
    assert desk.log.told == [("begin", 1), ("refuse", None, "TooLate", True)]
    assert desk.client.posted == []


async def test_an_answer_that_never_came_is_waited_for(desk: Desk) -> None:
    desk.client.answers = [DOUBT]
    await desk.send(part(1), part(2))
    assert desk.log.told == [("begin", 1)]
    assert desk.told == []


def at_twilio(body: str, *, sid: str = "SM9", age: float = 1, **more: Any) -> resources.Message:
    values: dict[str, Any] = {"sid": sid, "body": body, "direction": "outbound-api", "status": "sent"}
    return resources.Message.model_validate(
        values | {"date_created": datetime.now(UTC) - timedelta(seconds=age), **more}
    )


@pytest.mark.parametrize("body", ["answer 1", "Sent from your Twilio trial account - answer 1", "answer 1 "])
async def test_what_is_found_at_twilio_is_adopted_and_what_follows_goes_on(desk: Desk, body: str) -> None:
    desk.client.answers = [DOUBT]
    desk.client.has = [at_twilio(body)]
    await desk.send(part(1), part(2))
    assert desk.log.told == [
        ("begin", 1),
        ("deliver", f"{part(1).name}.1", "SM9"),
        ("begin", 1),
        ("confirm", 1, "SM2"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"body": "another answer"},
        {"body": "answer 1", "direction": "inbound"},
        {"body": "answer 1", "sid": "SM-taken"},
        {"body": "answer 1", "age": 60},
        {"body": "answer 1", "date_created": None},
        {"body": "answer 1", "status": "a word of tomorrow"},
        {"body": "answer 1", "from": "+15559990000"},
    ],
)
async def test_what_may_be_another_message_is_not_adopted(desk: Desk, other: dict[str, Any]) -> None:
    desk.client.answers = [DOUBT]
    desk.client.has = [at_twilio(**other)]
    desk.log.kept = [part(7, provider_message_id="SM-taken")]
    await desk.send(part(1))
    assert desk.log.told == [("begin", 1)]


async def test_of_two_that_fit_the_older_one_is_adopted(desk: Desk) -> None:
    desk.client.answers = [DOUBT]
    desk.client.has = [at_twilio("answer 1", sid="SM-new"), at_twilio("answer 1", sid="SM-old", age=2)]
    await desk.send(part(1))
    assert desk.log.told[1] == ("deliver", f"{part(1).name}.1", "SM-old")


async def test_of_two_replies_of_the_same_words_that_are_in_doubt_neither_takes_what_may_be_the_others(
    desk: Desk,
) -> None:
    """Two people write, the answers go to one number, and both POSTs lose their answers."""
    other = replace(attempted(part(1)), name=f"c-{'1' * 20}-1-1", conversation=f"c-{'1' * 20}")
    desk.log.kept = [other, attempted(part(1))]
    desk.client.answers = [DOUBT, DOUBT]
    desk.client.has = [at_twilio("answer 1")]
    await desk.send(part(1))
    assert desk.log.told == [("begin", 1)], "Twilio took one of them, and a callback will tell which"
    desk.log.kept = [replace(other, provider_message_id="SM9", attempt=None)]
    await desk.send(attempted(part(1), age=13))
    assert desk.log.told == [("begin", 1)], "it was the other's"
    desk.client.has = [at_twilio("answer 1", sid="SM10"), at_twilio("answer 1")]
    await desk.send(attempted(part(1), age=13))
    assert desk.log.told[1:] == [("deliver", f"{part(1).name}.1", "SM10")]


async def test_replies_of_other_words_in_doubt_do_not_hinder(desk: Desk) -> None:
    other = replace(attempted(part(2)), name=f"c-{'1' * 20}-1-1")
    desk.log.kept = [other, replace(other, name="x", state="DeliveryUnknown", attempt=None)]
    desk.client.answers = [DOUBT]
    desk.client.has = [at_twilio("answer 1")]
    await desk.send(part(1))
    assert desk.log.told[1] == ("deliver", f"{part(1).name}.1", "SM9")


async def test_a_dead_workers_attempt_is_not_looked_for_before_its_request_is_over(desk: Desk) -> None:
    desk.client.has = [at_twilio("answer 1")]
    await desk.send(attempted(part(1), age=5))
    assert desk.log.told == []
    await desk.send(attempted(part(1), age=13))
    assert desk.log.told == [("deliver", f"{part(1).name}.1", "SM9")]


async def test_what_nobody_confirmed_in_its_time_is_told_and_what_follows_goes_on(desk: Desk) -> None:
    await desk.send(attempted(part(1), age=121), part(2))
    assert desk.log.told == [("unknown", 1, False), ("begin", 1), ("confirm", 1, "SM1")]
    assert desk.told == [part(1).name]


async def test_where_it_is_asked_it_is_sent_again_under_a_new_attempt_and_not_told(desk: Desk) -> None:
    desk.sender.resend = True
    await desk.send(attempted(part(1), age=121), part(2))
    assert desk.log.told == [
        ("unknown", 1, True),
        ("begin", 2),
        ("confirm", 2, "SM1"),
        ("begin", 1),
        ("confirm", 1, "SM2"),
    ]
    assert desk.told == []


async def test_sending_again_has_its_bound_and_waits_its_time_and_needs_a_connector(desk: Desk) -> None:
    desk.sender.resend = True
    await desk.send(attempted(part(1), age=100))
    assert desk.log.told == []
    await desk.send(attempted(part(1), SENDS_MAX, age=121))
    assert desk.log.told == [("unknown", SENDS_MAX, False)]
    await desk.send(attempted(part(1), age=121), connector="gone")
    assert desk.log.told[1:] == [("unknown", 1, False)]
    assert desk.client.posted == []


async def test_who_sent_stop_or_lost_the_connector_or_wrote_too_long_ago_gets_nothing(desk: Desk) -> None:
    await desk.send(part(1), connector="gone")
    await desk.send(part(1), channel="WhatsApp", age=WINDOW)
    desk.log.opted_out = True
    await desk.send(part(1))
    assert desk.log.told == [("cancel", "ConnectorUnavailable"), ("cancel", "WindowClosed")]
    assert desk.client.posted == []


async def test_a_connector_that_this_pod_does_not_know_yet_puts_the_reply_off_for_a_while(desk: Desk) -> None:
    """As an old pod of a rollout, or one whose watch is late."""
    desk.connectors.remove("sms")
    await desk.send(part(1), part(2))
    await desk.send(replace(part(1), attempts=MOST - 1))  # it is no attempt, so it is never one too many
    assert desk.log.told == [("postpone", 0, "ConnectorUnavailable"), ("postpone", MOST - 1, "ConnectorUnavailable")]
    desk.log.told.clear()
    await desk.send(replace(part(1), not_before=datetime.now(UTC) + 3 * SECOND))
    assert desk.log.told == []
    assert desk.client.posted == []


async def test_a_reply_in_doubt_is_not_given_up_by_a_pod_that_cannot_look_it_up(desk: Desk) -> None:
    desk.connectors.remove("sms")
    await desk.send(attempted(part(1), age=100))
    assert desk.log.told == []  # its time has not come
    await desk.send(attempted(part(1), age=121))
    assert desk.log.told == [("postpone", 1, "ConnectorUnavailable")]
    assert desk.told == []


async def test_a_reply_whose_connector_does_not_come_ends_with_its_reason(desk: Desk) -> None:
    time = 1000.0
    desk.connectors._clock = lambda: time
    desk.connectors.remove("sms")
    time += ELSEWHERE_MOST
    await desk.send(part(1))
    assert desk.log.told == [("postpone", 0, "ConnectorUnavailable")]  # others have not had the time for it
    desk.log.told.clear()
    made = NOW - ELSEWHERE_MOST * SECOND
    await desk.send(replace(part(1), time=made), replace(attempted(part(2), age=500), time=made))
    assert desk.log.told == [("cancel", "ConnectorUnavailable"), ("unknown", 1, False)]
    assert desk.client.posted == []


async def test_within_the_window_and_on_sms_later_too_answers_go_out(desk: Desk) -> None:
    await desk.send(part(1), channel="WhatsApp", age=WINDOW - 60 * SECOND)
    await desk.send(part(1), age=WINDOW * 2)
    assert [one.channel for one in desk.client.posted] == ["WhatsApp", "SMS"]
