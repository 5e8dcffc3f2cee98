"""What is only waited for differently may wait to be written; all else may not."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.controller.lull import BUSY_SECONDS, LULL_SECONDS, Lull
from switchboard.controller.queue import Key

KEY = Key("TwilioConnector", "acme", "sms")


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason}


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return {
        "observedGeneration": 1,
        "conditions": [condition("Ready", "False", reason), condition("Reconciling", "True", reason)],
        **more,
    }


CONNECTED = {"observedGeneration": 1, "conditions": [condition("Ready", "True", "Connected")]}


async def left(before: dict[str, Any], after: dict[str, Any], *, busy: bool = False) -> float | None:
    return Lull(lambda: busy).left(KEY, {"status": before}, after)


async def test_another_thing_to_wait_for_waits() -> None:
    found = await left(waiting("AgentNotBound"), waiting("WaitingForAgent"))
    assert found == pytest.approx(LULL_SECONDS, abs=0.5)
    found = await left(waiting("AgentNotBound"), waiting("WaitingForAgent"), busy=True)
    assert found == pytest.approx(BUSY_SECONDS, abs=0.5)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, waiting("AgentNotBound")),
        (waiting("AgentNotBound"), waiting("AgentNotBound")),
        (waiting("AgentNotBound"), CONNECTED),
        (CONNECTED, waiting("WaitingForAgent")),
        (waiting("AgentNotBound"), {**CONNECTED, "conditions": [condition("Stalled", "True", "CredentialsInvalid")]}),
        (waiting("AgentNotBound"), waiting("WaitingForAgent", observedGeneration=2)),
        (waiting("Deploying"), waiting("Deploying", liveRevision="support-v1")),
        (
            waiting("A", connectors=[{"name": "sms", "status": "ConnectorMissing"}]),
            waiting("B", connectors=[{"name": "sms", "status": "WaitingForAgent"}]),
        ),
    ],
)
async def test_what_is_new_does_not_wait(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert await left(before, after) is None


async def test_it_waits_once_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    lull = Lull(lambda: False)
    assert lull.left(KEY, {"status": waiting("A")}, waiting("B")) is not None
    monkeypatch.setattr("switchboard.controller.lull.LULL_SECONDS", 0.0)
    assert lull.left(KEY, {"status": waiting("A")}, waiting("C")) is None
