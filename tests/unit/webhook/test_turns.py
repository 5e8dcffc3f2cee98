"""What a turn comes to: an answer, another attempt, or a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.webhook.fakes import ANN, BOB, OURS, connectors, manifest

from switchboard.api.access import AccessRequest
from switchboard.api.agent import Turn as TurnBounds
from switchboard.engines.base import Answer, EngineError, EngineRefused, EngineUnavailable, TurnInput
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import Conversation, Execution, Message, Turn
from switchboard.webhook.connectors import ELSEWHERE_LONGEST, ELSEWHERE_MOST, ELSEWHERE_SECONDS
from switchboard.webhook.media import Bounds
from switchboard.webhook.requests import Decisions
from switchboard.webhook.turns import LATE, Again, Ended, Runner

NOW = datetime.now(UTC)


@dataclass
class Log:
    """What a runner reads."""

    kept: Sequence[Message] = ()
    replies: int = 0

    async def history(self, conversation: str, *, before: int | None = None, limit: int = 50) -> Sequence[Message]:
        return self.kept[-limit:]

    async def replies_since(self, conversation: str, since: datetime) -> int:
        return self.replies

    async def execution(self, name: str) -> None:
        return None


@dataclass
class Scripted:
    """An engine that gives what it was given."""

    gives: Answer | Exception
    asked: list[TurnInput] = field(default_factory=list)

    async def answer(self, turn: TurnInput) -> Answer:
        self.asked.append(turn)
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


def message(name: str, body: str, sequence: int, **more: Any) -> Message:
    values = {"direction": "Inbound", "sender": ANN, "recipient": OURS, "time": NOW, "state": "Working", **more}
    return Message(name=name, conversation="c-1", body=body, sequence=sequence, **values)


def turn(*messages: Message, attempts: int = 1, channel: str = "SMS", connector: str = "sms") -> Turn:
    conversation = Conversation("c-1", "support", connector, "twilio", cast("Any", channel), ANN, NOW)
    names = [one.name for one in messages]
    execution = Execution("c-1-1", "c-1", "support", "v1", names, "Running", NOW, attempts=attempts)
    return Turn(conversation, execution, list(messages), [], "pod", 1, NOW)


def runner(
    folder: Path, engine: Scripted, log: Log | None = None, decisions: Decisions | None = None, **bounds: Any
) -> Runner:
    return Runner(
        cast("Any", engine),
        "script",
        "v1",
        TurnBounds.model_validate(bounds),
        Bounds(1000, 1000, ("image/*",), 1),
        10,
        cast("ConversationLog", log or Log()),
        connectors(folder, manifest(access={"policy": "Open", "deny": [BOB]})),
        decisions or Decisions(),
    )


HI = message("in-1", "Hi", 1)


def begun(ago: timedelta) -> Turn:
    """A turn that was taken first so long ago."""
    given = turn(HI)
    given.execution.start_time = datetime.now(UTC) - ago
    return given


async def test_an_answer_is_made_into_replies(tmp_path: Path) -> None:
    engine = Scripted(Answer("Hello"))
    result = await runner(tmp_path, engine).run(turn(HI), "trace")
    assert isinstance(result, Ended)
    assert (result.outcome.state, result.outcome.trace_id) == ("Succeeded", "trace")
    [reply] = result.replies
    assert (reply.sender, reply.recipient, reply.body) == (OURS, ANN, "Hello")
    assert engine.asked[0].timeout_seconds == 60


async def test_an_empty_answer_sends_nothing(tmp_path: Path) -> None:
    result = await runner(tmp_path, Scripted(Answer("  "))).run(turn(HI), None)
    assert isinstance(result, Ended)
    assert (result.outcome.state, result.replies) == ("Succeeded", [])


async def test_the_history_is_what_was_said_and_reached_the_contact(tmp_path: Path) -> None:
    out = {"direction": "Outbound", "sender": OURS, "recipient": ANN}
    log = Log(
        [
            message("in-0", "first", 1, state="Answered"),
            message("in-1", "Hi", 2),
            message("c-1-0-1", "part one", 3, state="Sent", execution="c-1-0", **out),
            message("c-1-0-2", "part two", 4, state="Sending", execution="c-1-0", **out),
            message("c-1-0-3", "never left", 5, state="Cancelled", execution="c-1-0", **out),
            message("in-2", "waits", 6, state="Waiting"),
        ]
    )
    engine = Scripted(Answer("Hello"))
    await runner(tmp_path, engine, log).run(turn(HI), None)
    [asked] = engine.asked
    assert [(one.by_contact, one.text) for one in asked.history] == [(True, "first"), (False, "part one\npart two")]
    assert [one.text for one in asked.messages] == ["Hi"]


@pytest.mark.parametrize("error", [EngineUnavailable("Busy", "busy"), EngineUnavailable("Busy", "", retry_after=9)])
async def test_what_may_work_later_is_tried_again_and_then_the_fallback_goes_out(
    tmp_path: Path, error: EngineUnavailable
) -> None:
    made = runner(tmp_path, Scripted(error), maxAttempts=3)
    for attempt in (1, 2):
        again = await made.run(turn(HI, attempts=attempt), None)
        assert isinstance(again, Again)
        wait = (again.at - datetime.now(UTC)).total_seconds()
        assert wait <= 10
        assert error.retry_after is None or wait > 8
    last = await made.run(turn(HI, attempts=3), None)
    assert isinstance(last, Ended)
    assert (last.outcome.state, len(last.replies)) == ("Failed", 1)
    assert last.outcome.error is not None
    assert last.outcome.error.kind == "Busy"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EngineRefused("TooLong", "no"), "TooLong"),
        (EngineError("Odd", "no"), "Odd"),
        (ValueError("secret"), "InternalError"),
    ],
)
async def test_what_will_not_work_later_fails_at_once(tmp_path: Path, error: Exception, kind: str) -> None:
    result = await runner(tmp_path, Scripted(error)).run(turn(HI), None)
    assert isinstance(result, Ended)
    assert result.outcome.error is not None
    assert result.outcome.error.kind == kind
    assert "secret" not in result.outcome.error.message
    assert len(result.replies) == 1


async def unfit(made: Runner, given: Turn) -> tuple[str, str, int]:
    result = await made.run(given, None)
    assert isinstance(result, Ended)
    assert result.outcome.error is not None
    assert cast("Scripted", made.engine).asked == []
    return result.outcome.error.kind, result.outcome.state, len(result.replies)


async def test_a_turn_that_killed_its_workers_gets_the_fallback(tmp_path: Path) -> None:
    made = runner(tmp_path, Scripted(Answer("no")), maxAttempts=2)
    assert await unfit(made, turn(HI, attempts=3)) == ("AttemptsExhausted", "Failed", 1)


def decided(decision: str) -> AccessRequest:
    spec = {"connector": "sms", "contact": ANN, "decision": decision}
    return AccessRequest.model_validate({"metadata": {"name": "one"}, "spec": spec})


async def test_a_contact_that_was_turned_away_meanwhile_is_not_answered(tmp_path: Path) -> None:
    decisions = Decisions()
    decisions.put(decided("Rejected"))
    made = runner(tmp_path, Scripted(Answer("no")), decisions=decisions)
    assert await unfit(made, begun(LATE)) == ("AccessDenied", "Cancelled", 0)


@pytest.mark.parametrize(
    ("access", "decision", "answered"),
    [
        ({"policy": "Open", "deny": [ANN]}, "Approved", False),
        ({"policy": "Open", "allow": [BOB]}, "Approved", False),  # what is left of an allow list
        ({"policy": "AllowList", "allow": [BOB]}, "Approved", False),
        ({"policy": "AllowList", "allow": [ANN]}, None, True),
        ({"policy": "AllowList", "allow": [ANN], "deny": [ANN]}, None, False),
        ({"policy": "Onboarding"}, None, False),
        ({"policy": "Onboarding"}, "Pending", False),
        ({"policy": "Onboarding"}, "Approved", True),
        ({"policy": "Onboarding", "deny": [ANN]}, "Approved", False),
        ({"policy": "Onboarding", "allow": [ANN]}, "Rejected", True),
        ({"policy": "Open"}, "Rejected", False),
        ({"policy": "Open"}, "Pending", True),
    ],
)
async def test_a_policy_that_changes_before_the_turn_counts_for_it_and_fails_closed(
    tmp_path: Path, access: dict[str, Any], decision: str | None, answered: bool
) -> None:
    decisions = Decisions()
    made = runner(tmp_path, Scripted(Answer("Hello")), decisions=decisions)
    assert isinstance(await made.run(turn(HI), None), Ended)
    if decision is not None:
        decisions.put(decided(decision))
    made.connectors.put(manifest(access=access))
    result = await made.run(begun(LATE), None)
    assert isinstance(result, Ended)
    assert (result.outcome.state, len(result.replies)) == (("Succeeded", 1) if answered else ("Cancelled", 0))


async def test_who_was_let_in_is_left_to_pods_that_have_heard_of_it(tmp_path: Path) -> None:
    decisions = Decisions()
    engine = Scripted(Answer("Hello"))
    made = runner(tmp_path, engine, decisions=decisions)
    made.connectors.put(manifest(access={"policy": "Onboarding"}))
    for late in ("Pending", "Rejected"):
        decisions.put(decided(late))
        result = await made.run(begun(LATE - timedelta(seconds=5)), None)
        assert isinstance(result, Again)
        assert not result.counts
        assert engine.asked == []
    decisions.put(decided("Approved"))
    assert isinstance(await made.run(turn(HI), None), Ended)
    assert len(engine.asked) == 1


async def test_whatsapp_is_answered_within_a_day_and_sms_later_too(tmp_path: Path) -> None:
    old = message("in-1", "Hi", 1, time=datetime.now(UTC) - timedelta(hours=24))
    made = runner(tmp_path, Scripted(Answer("yes")))
    assert await unfit(made, turn(old, channel="WhatsApp")) == ("WindowClosed", "Failed", 0)
    assert isinstance(await made.run(turn(old), None), Ended)
    recent = message("in-2", "Hi", 2)
    both = await made.run(turn(old, recent, channel="WhatsApp"), None)
    assert isinstance(both, Ended)
    assert both.outcome.state == "Succeeded"


async def test_two_bots_do_not_talk_all_night(tmp_path: Path) -> None:
    made = runner(tmp_path, Scripted(Answer("no")), Log(replies=10))
    assert await unfit(made, turn(HI)) == ("ReplyLimit", "Cancelled", 0)


async def test_a_connector_that_the_agent_does_not_use_any_more_ends_the_turn(tmp_path: Path) -> None:
    made = runner(tmp_path, Scripted(Answer("no")), maxAttempts=2)
    assert await unfit(made, turn(HI, connector="gone")) == ("ConnectorUnavailable", "Cancelled", 0)


async def test_a_connector_that_this_pod_does_not_know_yet_leaves_the_turn_to_others_first(tmp_path: Path) -> None:
    """As an old pod of a rollout, or one whose watch is late: whoever recorded the message has the connector."""
    made = runner(tmp_path, Scripted(Answer("no")), maxAttempts=2)
    made.connectors.remove("sms")
    for attempts in (1, 2, 3):  # what was left to others was no attempt, and the last word is for who can say it
        now = datetime.now(UTC)
        result = await made.run(turn(HI, attempts=attempts), None)
        assert isinstance(result, Again)
        assert not result.counts
        assert result.at >= now + timedelta(seconds=ELSEWHERE_SECONDS)
        assert result.outcome.error is not None
        assert result.outcome.error.kind == "ConnectorUnavailable"


async def test_a_turn_is_left_to_others_until_both_it_and_the_pod_have_waited_long(tmp_path: Path) -> None:
    made = runner(tmp_path, Scripted(Answer("no")))
    time = 1000.0
    made.connectors._clock = lambda: time
    made.connectors.remove("sms")
    old = turn(HI)
    old.execution.start_time = NOW - timedelta(seconds=ELSEWHERE_MOST + 1)
    assert isinstance(await made.run(old, None), Again)  # this pod has only just lost it
    time += ELSEWHERE_MOST - 1
    assert isinstance(await made.run(old, None), Again)
    time += 1
    assert isinstance(await made.run(turn(HI), None), Again)  # others have not had it yet
    assert await unfit(made, old) == ("ConnectorUnavailable", "Cancelled", 0)
    made.connectors.put(manifest())
    assert isinstance(await made.run(old, None), Ended)
    made.connectors.remove("sms")
    assert isinstance(await made.run(old, None), Again)


async def test_others_are_left_a_turn_for_longer_the_longer_a_pod_was_without_its_connector(tmp_path: Path) -> None:
    made = connectors(tmp_path)
    time = 0.0
    made._clock = lambda: time
    assert made.awaited("sms", NOW) is None
    made.remove("sms")
    for seconds, wait in ((0, ELSEWHERE_SECONDS), (8, ELSEWHERE_SECONDS), (20, 10), (100, ELSEWHERE_LONGEST)):
        time = float(seconds)
        assert made.awaited("sms", NOW) == wait
    assert made.awaited("no route of ours", NOW) is None
