"""What follows from what, case by case."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise, permutations
from typing import Any, get_args

import pytest

from switchboard.api.conversation import Delivery
from switchboard.log.names import attempt_id
from switchboard.log.records import DeliveryNews, Inbound, Intake, Message
from switchboard.log.transitions import Delivered, answered_state, apply_news, beginning, settle
from switchboard.providers.base import DeliveryState

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAME = "c-0123456789abcdef0123-1-1"


def inbound(**fields: Any) -> Inbound:
    given: dict[str, Any] = {
        "provider": "twilio",
        "account": "AC1",
        "message_id": "SM1",
        "connector": "c",
        "channel": "SMS",
        "contact": "+15005550100",
        "sender": "+15005550100",
        "recipient": "+15005550006",
        "body": "hi",
        "state": "Waiting",
    }
    return Inbound(**given | fields)


def outbound(**fields: Any) -> Message:
    given: dict[str, Any] = {
        "name": NAME,
        "conversation": "c-0123456789abcdef0123",
        "direction": "Outbound",
        "sender": "+1",
        "recipient": "+2",
        "body": "hi",
        "time": NOW,
        "sequence": 1,
        "state": "Sending",
        "attempts": 1,
    }
    return Message(**given | fields)


def news(state: DeliveryState, sid: str = "SM1", number: int = 1, **fields: Any) -> DeliveryNews:
    return DeliveryNews(sid, state, attempt=attempt_id(NAME, number), **fields)


@pytest.mark.parametrize(
    ("fields", "opted_out", "state", "then_out"),
    [
        ({}, False, "Waiting", False),
        ({"state": "Held"}, False, "Held", False),
        ({"state": "Missed"}, False, "Missed", False),
        ({"state": "Refused"}, False, "Refused", False),
        ({}, True, "Ignored", True),
        ({"state": "Held"}, True, "Ignored", True),
        ({"state": "Missed"}, True, "Missed", True),
        ({"keyword": "Stop"}, False, "Ignored", True),
        ({"keyword": "Stop"}, True, "Ignored", True),
        ({"keyword": "Stop", "state": "Refused"}, False, "Refused", False),
        ({"keyword": "Start"}, False, "Waiting", False),
        ({"keyword": "Start"}, True, "Ignored", False),
        ({"keyword": "Start", "keyword_confirmed": True}, False, "Ignored", False),
        ({"keyword": "Start", "state": "Held"}, False, "Held", False),
    ],
)
def test_keywords_and_opt_outs_decide_over_the_receiver(
    fields: dict[str, Any], opted_out: bool, state: Intake, then_out: bool
) -> None:
    settled = settle(inbound(**fields), opted_out=opted_out)
    assert (settled.state, settled.opted_out) == (state, then_out)


def test_the_apis_words_for_delivery_are_the_providers() -> None:
    assert set(get_args(Delivery)) == {state.value for state in DeliveryState}


def test_in_whatever_order_news_comes_the_furthest_stays() -> None:
    for order in permutations([DeliveryState.QUEUED, DeliveryState.SENT, DeliveryState.DELIVERED, DeliveryState.READ]):
        message = outbound()
        seen = []
        for state in order:
            applied = apply_news(message, news(state))
            if applied.result in {"Adopted", "Applied"}:
                message = outbound(
                    state=applied.state, provider_message_id=applied.provider_message_id, delivery=applied.delivery
                )
                assert applied.delivery is not None
                seen.append(applied.delivery.rank)
        assert message.delivery is DeliveryState.READ
        assert all(earlier < later for earlier, later in pairwise(seen))


@pytest.mark.parametrize("state", ["Sending", "DeliveryUnknown", "Failed", "Sent"])
def test_an_id_that_was_not_known_is_adopted_whatever_was_thought(state: Any) -> None:
    assert apply_news(outbound(state=state), news(DeliveryState.SENT)).result == "Adopted"


def test_a_failure_says_why_and_good_news_clears_what_was_said_before() -> None:
    failed = apply_news(outbound(), news(DeliveryState.FAILED, error_code=30006, error="A landline."))
    assert (failed.state, failed.error_code, failed.error) == ("Failed", 30006, "A landline.")
    before = outbound(error_code=20429, error="Too many requests.")
    sent = apply_news(before, news(DeliveryState.SENT))
    assert (sent.state, sent.error_code, sent.error) == ("Sent", None, None)


@pytest.mark.parametrize(
    ("message", "told", "result"),
    [
        (outbound(), news(DeliveryState.SENT, number=2), "Unknown"),
        (outbound(attempts=0), news(DeliveryState.SENT), "Unknown"),
        (outbound(), DeliveryNews("SM1", DeliveryState.SENT), "Unknown"),
        (outbound(), DeliveryNews("SM1", DeliveryState.SENT, attempt="c-0123456789abcdef0123-1-2.1"), "Unknown"),
        (outbound(direction="Inbound"), news(DeliveryState.SENT), "Unknown"),
        (outbound(provider_message_id="SM2"), news(DeliveryState.SENT), "Contradicted"),
    ],
)
def test_what_cannot_be_about_the_message_changes_nothing(message: Message, told: DeliveryNews, result: str) -> None:
    assert apply_news(message, told) == Delivered(result)  # type: ignore[arg-type]


def test_messages_stand_where_their_execution_does() -> None:
    assert [answered_state(state) for state in ("Running", "Retrying", "Succeeded", "Failed", "Cancelled")] == [
        "Working",
        "Working",
        "Answered",
        "Failed",
        "Ignored",
    ]


def test_the_beginning_of_a_message_fits_a_status() -> None:
    assert beginning("  two\nlines ", 0) == "two lines"
    assert beginning("", 1) == "[1 attachment]"
    assert beginning("", 2) == "[2 attachments]"
    assert beginning("", 0) == ""
    assert len(beginning("x" * 500, 0)) == 100
