"""Small parts: what is said, decisions, credentials, configuration, patience, lines and windows."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.webhook.fakes import ANN, BOB, TOKEN, write_secret

from switchboard.api.access import AccessRequest, Decision
from switchboard.log.errors import LeaseLost, LogUnavailable
from switchboard.log.records import Recorded
from switchboard.telemetry import logs
from switchboard.webhook.config import ConfigError, load
from switchboard.webhook.credentials import CredentialsMissing, read
from switchboard.webhook.journal import Journal
from switchboard.webhook.lease import persist
from switchboard.webhook.onboarding import request_name
from switchboard.webhook.requests import Asker, Decisions
from switchboard.webhook.said import text
from switchboard.webhook.sending import pause
from switchboard.webhook.tasks import Supervisor


def request(name: str, contact: str = ANN, decision: Decision = "Pending") -> AccessRequest:
    spec = {"connector": "sms", "contact": contact, "decision": decision}
    return AccessRequest.model_validate({"metadata": {"name": name}, "spec": spec})


def test_decisions_are_told_once_and_of_two_for_one_contact_what_keeps_out_wins() -> None:
    decisions, told = Decisions(), list[tuple[str, Decision]]()
    decisions.on_decided = lambda asker, decision: told.append((asker.contact, decision))
    decisions.replace([request("a"), request("b", BOB, "Approved")])
    assert told == [(ANN, "Pending"), (BOB, "Approved")]
    assert decisions.pending("sms") == 1
    decisions.put(request("a", decision="Approved"))
    decisions.put(request("a", decision="Approved"))
    assert told[2:] == [(ANN, "Approved")]
    decisions.put(request("c", decision="Rejected"))
    assert decisions.decision("sms", ANN) == "Rejected"
    decisions.remove("c")
    decisions.remove("a")
    decisions.remove("a")
    assert decisions.decision("sms", ANN) is None
    assert decisions.find(Asker("sms", ANN)) is None
    assert decisions.pending("sms") == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([ANN, BOB, None]), st.booleans())))
def test_the_count_of_those_who_wait_is_right_after_any_changes(changes: list[tuple[str, str | None, bool]]) -> None:
    decisions, world = Decisions(), dict[str, AccessRequest]()
    for name, contact, approved in changes:
        if contact is None:
            decisions.remove(name)
            world.pop(name, None)
        elif name not in world or world[name].spec.contact == contact:
            world[name] = request(name, contact, "Approved" if approved else "Pending")
            decisions.put(world[name])
    waiting = {one.spec.contact for one in world.values() if one.spec.decision == "Pending"}
    assert decisions.pending("sms") == len(waiting)


def test_a_requests_name_is_the_same_everywhere_and_holds_no_number() -> None:
    name = request_name(b"key", "uid", ANN)
    assert name == request_name(b"key", "uid", ANN)
    assert len({name, request_name(b"other", "uid", ANN), request_name(b"key", "other", ANN)}) == 3
    assert ANN[1:] not in name


@pytest.mark.parametrize(
    ("body", "attributes", "said"),
    [
        ("Hi", {}, "Hi"),
        ("", {}, ""),
        ("", {"Latitude": "52.5", "Longitude": "13.4"}, "[Location: 52.5, 13.4]"),
        ("Here", {"Latitude": "1", "Longitude": "2", "Label": "Home"}, "Here\n[Location: 1, 2 (Home)]"),
        ("Yes", {"ButtonText": "Yes"}, "Yes"),
        ("", {"ButtonText": "Yes"}, "Yes"),
        ("Sure", {"ButtonText": "Yes"}, "Sure\n[Button: Yes]"),
    ],
)
def test_what_a_phone_shows_otherwise_is_told_in_words(body: str, attributes: dict[str, str], said: str) -> None:
    assert text(body, attributes) == said


def test_credentials_name_the_key_that_is_missing_and_never_a_value(tmp_path: Path) -> None:
    with pytest.raises(CredentialsMissing, match="accountSid"):
        read(tmp_path, "sms")
    write_secret(tmp_path, authToken="")
    with pytest.raises(CredentialsMissing, match="authToken"):
        read(tmp_path, "sms")
    write_secret(tmp_path, accountSid="AC-wrong", authToken=TOKEN)
    with pytest.raises(CredentialsMissing, match="accountSid") as caught:
        read(tmp_path, "sms")
    assert TOKEN not in str(caught.value)
    write_secret(tmp_path, authToken=f" {TOKEN}\n", previousAuthToken="old")
    assert read(tmp_path, "sms").tokens == (TOKEN, "old")


@pytest.mark.parametrize(("content", "named"), [("", "JSON"), ("{}", "namespace"), ('{"namespace": 1}', "namespace")])
def test_a_wrong_configuration_is_named_in_one_sentence(tmp_path: Path, content: str, named: str) -> None:
    with pytest.raises(ConfigError, match="SWITCHBOARD_CONFIG"):
        load(tmp_path / "missing.json")
    file = tmp_path / "webhook.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=named) as caught:
        load(file)
    assert "\n" not in str(caught.value)


async def test_a_log_that_is_away_is_waited_for_and_a_lost_lease_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchboard.webhook.lease._FIRST_PAUSE", 0.001)
    left = [LogUnavailable("away"), LogUnavailable("away")]

    async def call() -> str:
        if left:
            raise left.pop()
        return "done"

    assert await persist("test", call) == "done"

    async def lost() -> str:
        raise LeaseLost("lost")

    with pytest.raises(LeaseLost):
        await persist("test", lost)

    async def never() -> str:
        raise LogUnavailable("away")

    with pytest.raises(LogUnavailable):
        await persist("test", never, patience=0)


async def test_a_task_that_fails_is_started_again_and_one_that_ends_is_told() -> None:
    supervisor, runs, again = Supervisor(), 0, asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError("oops")
        again.set()
        await asyncio.Event().wait()

    async def end() -> None:
        return

    supervisor.start("work", work, first_pause=0)
    supervisor.start("end", end)
    supervisor.once("once", end)
    await asyncio.wait_for(again.wait(), 5)
    assert runs == 3
    assert supervisor.dead == ["end"]
    await supervisor.stop()
    assert supervisor.dead == []


@pytest.mark.parametrize("sid", ["SM" + "1" * 32, 'SM"+14155550100"'])
async def test_a_quick_line_says_what_the_logging_library_would_say(sid: str) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        logs.configure("INFO", "json", stream)
        recorded = Recorded("c-1", "in-" + "a" * 32, "Waiting")
        quick, slow = Journal(), Journal()
        slow._stream = None
        quick.recorded("sms", sid, recorded)
        await asyncio.sleep(0)
        slow.recorded("sms", sid, recorded)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first.pop("time")[:18] <= second.pop("time")
    assert first == second
    assert "+14155550100" not in stream.getvalue()


@given(st.integers(1, 40), st.none() | st.floats(0, 600))
def test_a_pause_is_bounded_and_never_shorter_than_twilio_asks(attempts: int, asked: float | None) -> None:
    wait = pause(attempts, asked)
    assert (asked or 0) <= wait <= max(60, asked or 0)
