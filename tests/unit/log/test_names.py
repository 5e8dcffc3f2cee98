"""Names are made of content, and lead back to what they name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.log import names

KEY = b"k" * 32
CONVERSATION = names.conversation_name(
    KEY, agent="support", connector="production-sms", channel="SMS", contact="+15005550100"
)


def test_a_conversation_is_named_by_all_that_makes_it_one_and_by_the_key() -> None:
    made = {
        names.conversation_name(key, agent=agent, connector=connector, channel=channel, contact=contact)
        for key in (KEY, b"another key")
        for agent in ("support", "sales")
        for connector in ("production-sms", "other")
        for channel in ("SMS", "WhatsApp")
        for contact in ("+15005550100", "+15005550101")
    }
    assert len(made) == 32
    assert all(re.fullmatch(r"c-[0-9a-f]{20}", name) for name in made)


def test_an_inbound_message_is_named_by_provider_account_and_id() -> None:
    assert re.fullmatch(r"in-[0-9a-f]{32}", names.inbound_name("twilio", "AC1", "SM1"))
    made = {
        names.inbound_name(*parts)
        for parts in [("twilio", "AC1", "SM1"), ("twilio", "AC2", "SM1"), ("twilio", "AC1", "SM2")]
    }
    assert len(made) == 3


@pytest.mark.parametrize(("turn", "number"), [(1, 1), (42, 42), ("onboarding", 0)])
def test_an_attempt_leads_back_to_its_message_execution_and_conversation(turn: int | str, number: int) -> None:
    execution = names.execution_name(CONVERSATION, turn)
    message = names.outbound_name(execution, 3)
    attempt = names.attempt_id(message, 2)
    assert names.parse_attempt(attempt) == (message, 2)
    assert names.conversation_of(execution) == CONVERSATION
    assert names.turn_number(execution) == number
    assert len(attempt) <= 63


@given(st.text(max_size=80) | st.from_regex(r"c-[0-9a-f]{20}-[0-9a-z]*-[0-9]*\.[0-9]*"))
def test_nothing_but_an_attempt_is_taken_for_one(text: str) -> None:
    parsed = names.parse_attempt(text)
    if parsed is not None:
        message, number = parsed
        assert names.attempt_id(message, number) == text
        assert number >= 1
