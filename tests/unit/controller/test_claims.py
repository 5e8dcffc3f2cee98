"""Who holds a number keeps it."""

from __future__ import annotations

from typing import Any

from switchboard.api.connector import TwilioConnector
from switchboard.controller.claims import Claims
from switchboard.controller.queue import Key

A, B = Key("TwilioConnector", "acme", "a"), Key("TwilioConnector", "acme", "b")


def test_the_first_holds_it_and_the_second_learns_who() -> None:
    claims = Claims()
    assert claims.take(A, ["AC/PN1"]) == {}
    assert claims.take(B, ["AC/PN1", "AC/XE1"]) == {"AC/PN1": A}
    assert claims.holds(B) == {"AC/XE1"}


def test_what_is_no_longer_wanted_is_free() -> None:
    claims = Claims()
    claims.take(A, ["AC/PN1"])
    claims.take(A, ["AC/PN2"])
    assert claims.take(B, ["AC/PN1"]) == {}


def connector(valid: str = "True", **status: Any) -> TwilioConnector:
    condition = {
        "type": "CredentialsValid",
        "status": valid,
        "reason": "X",
        "lastTransitionTime": "2026-11-22T12:00:00Z",
    }
    return TwilioConnector.model_validate(
        {
            "metadata": {"name": "a", "namespace": "acme"},
            "spec": {"credentials": {"secretRef": {"name": "t"}}, "fromNumber": "+15005550006", "channels": ["SMS"]},
            "status": {"account": {"sid": "AC"}, "conditions": [condition], **status},
        }
    )


def test_after_a_restart_the_statuses_say_who_holds_what() -> None:
    claims = Claims()
    claims.recall(A, connector(phoneNumber={"sid": "PN1"}))
    assert claims.take(B, ["AC/PN1"]) == {"AC/PN1": A}


def test_bad_credentials_hold_nothing() -> None:
    claims = Claims()
    claims.recall(A, connector("False", phoneNumber={"sid": "PN1"}))
    assert claims.take(B, ["AC/PN1"]) == {}


def test_a_connector_of_a_service_alone_holds_the_service_again_after_a_restart() -> None:
    claims, service = Claims(), "MG" + "1" * 32
    found = connector(channels=[{"channel": "SMS", "sid": service, "reason": "Connected"}])
    claims.recall(A, found)
    assert claims.holds(A) == frozenset()  # with a number it is that which is held, and the status names it elsewhere
    alone = found.spec.model_copy(update={"from_number": None, "messaging_service_sid": service})
    claims.recall(A, found.model_copy(update={"spec": alone}))
    assert claims.holds(A) == {f"AC/{service}"}
