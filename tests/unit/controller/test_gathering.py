"""A revision waits a moment for what is applied with it, and no longer."""

from __future__ import annotations

import pytest

from switchboard.controller import gathering
from switchboard.controller.gathering import GATHER_SECONDS, Gathering
from switchboard.controller.queue import Key

AGENT = Key("Agent", "acme", "support")


async def test_what_lacks_nothing_does_not_wait() -> None:
    assert Gathering().left(AGENT, "support-v1", []) is None


async def test_what_lacks_something_waits_a_moment_and_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Gathering()
    assert waits.left(AGENT, "support-v1", ["sms"]) == pytest.approx(GATHER_SECONDS, abs=0.5)
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 0.0)
    assert waits.left(AGENT, "support-v1", ["sms"]) is None
    monkeypatch.undo()
    assert waits.left(AGENT, "support-v2", ["sms"]) is not None


async def test_the_wait_ends_with_what_was_missing_and_with_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Gathering()
    assert waits.left(AGENT, "support-v1", ["sms", "twilio"]) is not None
    assert waits.left(AGENT, "support-v1", []) is None
    waits.left(AGENT, "support-v2", ["sms"])
    waits.forget(AGENT)
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 1000.0)
    left = waits.left(AGENT, "support-v2", ["sms"])
    assert left == pytest.approx(1000.0, abs=0.1)
