"""The chain of a connector's checks, and what it asks to be written."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from switchboard.reconcile.binding import Binding
from switchboard.reconcile.connectors import ConnectorDecision, Seen, decide, repaired
from switchboard.reconcile.outcome import Mend, Problem
from switchboard.reconcile.twilio import Carrier, Kind

from .samples import ACCOUNT, NOW, NUMBER, NUMBER_SID, PUBLIC, URL, connector, found, number, sender, service

SEEN = Seen(binding=Binding("support", "support-v1"), address=PUBLIC, account=ACCOUNT, found=found())
UNBOUND = Binding(problem=Problem("AgentNotBound", "…", Mend.ARRIVE))
REGISTERED = {
    "conditions": [
        {"type": "Ready", "status": "True", "reason": "Connected", "lastTransitionTime": NOW.isoformat()},
    ],
    "channels": [{"channel": "SMS", "sid": NUMBER_SID, "webhookURL": URL.partition("#")[0], "reason": "Connected"}],
}


def seen(**changes: Any) -> Seen:
    return dataclasses.replace(SEEN, **changes)


def conditions(decision: ConnectorDecision) -> dict[str, tuple[str, str, str]]:
    found: Any = decision.status["conditions"]
    return {it["type"]: (it["status"], it["reason"], it["message"]) for it in found}


def reason(decision: ConnectorDecision, kind: str = "Ready") -> str:
    conditions: Any = decision.status["conditions"]
    return next((str(it["reason"]) for it in conditions if it["type"] == kind), "")


def test_the_first_decision_asks_for_the_webhook_to_be_written() -> None:
    decision = decide(connector(), SEEN, NOW)
    [write] = decision.writes
    assert (write.carrier.sid, write.url, write.repair) == (NUMBER_SID, URL, False)
    assert reason(decision) == "Checking"
    assert decision.claims == (f"{ACCOUNT.sid}/{NUMBER_SID}",)


def test_what_is_registered_asks_for_nothing_and_is_connected() -> None:
    decision = decide(connector(), seen(found=found(URL)), NOW)
    assert decision.writes == ()
    assert reason(decision) == "Connected"
    assert decision.status["webhookURL"] == URL.partition("#")[0]


ORDER = [
    ("CredentialsInvalid", {"account": Problem("CredentialsInvalid", "…")}),
    ("NumberNotFound", {"found": found(number=None)}),
    ("NumberNotCapable", {"found": found(number=number(capabilities=("Voice",)))}),
    ("AgentNotBound", {"binding": UNBOUND}),
    ("NumberConflict", {"holders": {f"{ACCOUNT.sid}/{NUMBER_SID}": "acme/other"}}),
    ("PublicURLMissing", {"address": Problem("PublicURLMissing", "…")}),
    ("WebhookOverriddenByService", {"found": found(number_service=service(numbers=(NUMBER_SID, "PNother")))}),
]


@pytest.mark.parametrize(("wanted", "state"), ORDER, ids=[name for name, _ in ORDER])
def test_each_check_names_its_reason_and_writes_nothing(wanted: str, state: dict[str, Any]) -> None:
    decision = decide(connector(), seen(**state), NOW)
    assert reason(decision) == wanted
    assert decision.writes == ()


@pytest.mark.parametrize("index", range(len(ORDER) - 1))
def test_the_earlier_check_speaks_first(index: int) -> None:
    (wanted, first), (_, second) = ORDER[index], ORDER[index + 1]
    assert reason(decide(connector(), seen(**{**second, **first}), NOW)) == wanted


def test_a_number_that_another_connector_holds_is_not_shown_as_ours() -> None:
    decision = decide(connector(), seen(**dict(ORDER)["NumberConflict"]), NOW)
    assert decision.status["phoneNumber"] is None
    assert decision.claims == ()


def test_an_api_that_is_away_leaves_what_was_known() -> None:
    away = Problem("TwilioUnavailable", "…", Mend.WAIT)
    status = {
        **REGISTERED,
        "account": {"sid": ACCOUNT.sid},
        "phoneNumber": {"sid": NUMBER_SID, "capabilities": ["SMS"]},
    }
    decision = decide(connector(status=status), seen(account=away), NOW)
    assert reason(decision) == "TwilioUnavailable"
    assert decision.status["account"] == {"sid": ACCOUNT.sid}
    assert decision.status["phoneNumber"] == {"sid": NUMBER_SID, "capabilities": ["SMS"]}
    assert decision.status["channels"] == REGISTERED["channels"]


@pytest.mark.parametrize(
    "carrier",
    [
        Carrier(Kind.NUMBER, NUMBER_SID, NUMBER, "https://intruder.example.com/?k=s"),
        Carrier(Kind.NUMBER, NUMBER_SID, NUMBER, URL, "GET"),
        Carrier(Kind.NUMBER, NUMBER_SID, NUMBER, URL.partition("#")[0]),
        Carrier(Kind.NUMBER, NUMBER_SID, NUMBER, ""),
    ],
    ids=["another URL", "another method", "no overrides", "nothing"],
)
def test_what_stood_there_before_and_does_not_now_is_a_repair(carrier: Carrier) -> None:
    drifted = found(number=number(carrier=carrier))
    [write] = decide(connector(status=REGISTERED), seen(found=drifted), NOW).writes
    assert write.repair
    assert "k=s" not in str(decide(connector(status=REGISTERED), seen(found=drifted), NOW).status)


def test_a_new_public_url_is_an_update_and_no_repair() -> None:
    [write] = decide(
        connector(status=REGISTERED), seen(found=found(URL), address="https://new.example.com"), NOW
    ).writes
    assert not write.repair


INTRUDED = found("https://intruder.example.com/")


@pytest.mark.parametrize(
    ("ages", "contested"), [((), False), ((100,), False), ((100, 200), True), ((100, 901), False), ((901, 902), False)]
)
def test_two_repairs_in_three_intervals_and_writing_stops(ages: tuple[int, ...], contested: bool) -> None:
    repairs = tuple(NOW - timedelta(seconds=age) for age in ages)
    decision = decide(connector(status=REGISTERED), seen(found=INTRUDED, repairs=repairs), NOW)
    assert (reason(decision) == "WebhookContested") is contested
    assert bool(decision.writes) is not contested


def test_a_contest_lasts_until_somebody_asks_for_a_check() -> None:
    conditions = [{**REGISTERED["conditions"][0], "status": "False", "reason": "WebhookContested"}]
    contested = connector(status={**REGISTERED, "conditions": conditions})
    assert decide(contested, seen(found=INTRUDED), NOW).writes == ()
    assert decide(contested, seen(found=INTRUDED, calm=True), NOW).writes


def test_both_channels_are_written_each_at_its_own_place() -> None:
    both = seen(found=found(sender=sender()))
    decision = decide(connector(channels=["SMS", "WhatsApp"]), both, NOW)
    assert [(it.channel, it.carrier.kind) for it in decision.writes] == [("SMS", "Number"), ("WhatsApp", "Sender")]


def test_a_service_of_this_number_alone_carries_the_webhook_where_allowed() -> None:
    state = seen(found=found(number_service=service()))
    [write] = decide(connector(webhookScope="Service"), state, NOW).writes
    assert write.carrier.kind == "Service"
    assert decide(connector(), state, NOW).writes == ()


def test_a_service_goes_before_an_application() -> None:
    app = Carrier(Kind.APPLICATION, "AP" + "4" * 32, "Old app", "")
    both = found(number=number(application=app, application_numbers=(NUMBER_SID,)), number_service=service())
    [write] = decide(connector(webhookScope="Service"), seen(found=both), NOW).writes
    assert write.carrier.kind == "Service"


def test_a_service_that_defers_leaves_the_word_to_the_application() -> None:
    app = Carrier(Kind.APPLICATION, "AP" + "4" * 32, "Old app", "")
    both = found(number=number(application=app, application_numbers=(NUMBER_SID,)), number_service=service(defers=True))
    assert reason(decide(connector(), seen(found=both), NOW)) == "WebhookOverriddenByApplication"


def test_a_service_without_a_number_is_written_only_where_allowed() -> None:
    alone = {"fromNumber": None, "messagingServiceSid": "MG" + "2" * 32}
    state = seen(found=found(number=None, service=service(numbers=("PN1", "PN2"))))
    assert reason(decide(connector(**alone), state, NOW)) == "WebhookOverriddenByService"
    [write] = decide(connector(**alone, webhookScope="Service"), state, NOW).writes
    assert write.carrier.kind == "Service"


def test_a_sender_that_drops_the_overrides_is_still_registered() -> None:
    bare = seen(found=found(number=None, sender=sender(URL.partition("#")[0])))
    assert decide(connector(channels=["WhatsApp"]), bare, NOW).writes == ()


def test_a_check_that_was_asked_for_is_answered_once_it_is_decided() -> None:
    asked = connector(annotations={"switchboard.dev/test": "now"})
    assert decide(asked, SEEN, NOW).status["lastTest"] is None
    answer: Any = decide(asked, seen(found=found(URL)), NOW).status["lastTest"]
    assert (answer["requested"], answer["succeeded"]) == ("now", True)


def test_a_check_that_was_asked_for_in_many_words_is_answered_once_and_in_few() -> None:
    seen_url = seen(found=found(URL))
    asked = connector(annotations={"switchboard.dev/test": "now" * 50_000})
    answer: Any = decide(asked, seen_url, NOW).status["lastTest"]
    assert len(answer["requested"]) == 256
    again = connector(annotations=asked.metadata.annotations, status={**asked.status.manifest(), "lastTest": answer})
    assert decide(again, seen_url, NOW + timedelta(hours=1)).status["lastTest"] == answer
    other = connector(annotations={"switchboard.dev/test": "now" * 50_001}, status=again.status.manifest())
    other_answer: Any = decide(other, seen_url, NOW).status["lastTest"]
    assert other_answer["requested"] != answer["requested"]


def test_new_credentials_that_all_pods_run_with_are_told_once() -> None:
    status = {**REGISTERED, "credentialsVersion": "uid/1"}
    told = decide(connector(status=status), seen(found=found(URL), credentials_version="uid/2"), NOW)
    assert [it.reason for it in told.events] == ["CredentialsRolledOut"]
    assert told.status["credentialsVersion"] == "uid/2"
    waiting = decide(connector(status=status), seen(found=found(URL)), NOW)
    assert waiting.events == ()
    assert waiting.status["credentialsVersion"] == "uid/1"


def test_no_status_holds_what_a_foreign_url_carries() -> None:
    foreign = found("https://user:pass@old.example.com/path?key=secret")
    decision = decide(connector(), seen(found=foreign, binding=UNBOUND), NOW)
    assert "pass" not in str(decision.status)
    assert "secret" not in str(decision.status)
    channels: Any = decision.status["channels"]
    assert channels[0]["webhookURL"] == "https://old.example.com"


def test_each_part_of_what_is_connected_is_told_with_its_names() -> None:
    both = seen(found=found(URL, sender=sender(URL)))
    decision = decide(connector(channels=["SMS", "WhatsApp"]), both, NOW)
    told = conditions(decision)
    assert set(told) == {"AgentBound", "CredentialsValid", "Ready", "WebhookRegistered"}
    assert told["CredentialsValid"] == ("True", "Valid", f"They open the account Acme ({ACCOUNT.sid}).")
    assert told["AgentBound"] == ("True", "Bound", "The Agent support answers, with its revision support-v1.")
    assert told["Ready"] == ("True", "Connected", f"{NUMBER} is connected to the Agent support.")
    status, why, places = told["WebhookRegistered"]
    assert (status, why) == ("True", "Registered")
    assert places.startswith(f"Registered at the number {NUMBER} ({NUMBER_SID}) and the WhatsApp sender {NUMBER} (XE")
    assert decision.status["account"] == {"sid": ACCOUNT.sid, "name": "Acme", "status": "active"}
    channels: Any = decision.status["channels"]
    assert [(it["channel"], it["reason"], it["webhookURL"]) for it in channels] == [
        ("SMS", "Connected", URL.partition("#")[0]),
        ("WhatsApp", "Connected", URL.partition("#")[0]),
    ]


def test_what_holds_stays_told_beside_what_does_not() -> None:
    unbound = conditions(decide(connector(), seen(binding=UNBOUND, found=found(URL)), NOW))
    assert unbound["CredentialsValid"][0] == "True"
    assert unbound["AgentBound"] == ("False", "AgentNotBound", "…")
    assert unbound["WebhookRegistered"] == ("False", "AgentNotBound", "Not registered yet.")
    assert unbound["Ready"] == unbound["AgentBound"]
    refused = conditions(decide(connector(), seen(account=Problem("CredentialsInvalid", "No.")), NOW))
    assert refused["CredentialsValid"] == ("False", "CredentialsInvalid", "No.")
    assert refused["AgentBound"][0] == "True"
    assert refused["Stalled"][:2] == ("True", "CredentialsInvalid")


def test_why_a_webhook_does_not_stand_is_told_where_it_is_looked_for() -> None:
    shared = seen(found=found(number_service=service(numbers=(NUMBER_SID, "PNother"))))
    told = conditions(decide(connector(), shared, NOW))
    assert told["WebhookRegistered"] == told["Ready"]
    assert told["Ready"][:2] == ("False", "WebhookOverriddenByService")
    assert "A2P > Integration, choose “Defer to sender's webhook”" in told["Ready"][2]
    asked = conditions(decide(connector(), SEEN, NOW))
    assert asked["WebhookRegistered"][:2] == ("Unknown", "Checking")


def test_a_sandbox_number_is_ready_and_says_what_to_set_by_hand() -> None:
    sandbox = connector(channels=["WhatsApp"], fromNumber="+14155238886")
    decision = decide(sandbox, seen(found=found(number=None)), NOW)
    told = conditions(decision)
    assert told["Ready"][:2] == ("True", "SetByHand")
    assert told["WebhookRegistered"][:2] == ("Unknown", "SetByHand")
    assert f"to {URL} (POST)" in told["Ready"][2]
    assert decision.writes == ()


def test_what_could_not_be_looked_for_is_the_matter_before_all_that_depends_on_it() -> None:
    trouble = Problem("NumberNotFound", "No such number.")
    decision = decide(connector(), seen(found=trouble, binding=UNBOUND), NOW)
    assert reason(decision) == "NumberNotFound"
    assert decision.status["webhookURL"] is None
    assert (decision.writes, decision.claims) == ((), ())


def test_no_address_is_told_of_what_is_not_registered_there() -> None:
    assert decide(connector(), seen(found=found(URL), binding=UNBOUND), NOW).status["webhookURL"] is None
    nowhere = seen(address=Problem("PublicURLMissing", "…"))
    assert decide(connector(), nowhere, NOW).status["webhookURL"] is None


@pytest.mark.parametrize(
    ("binding", "again"),
    [(UNBOUND, True), (Binding(problem=Problem("WaitingForAgent", "…", Mend.WAIT)), False)],
)
def test_only_what_may_arrive_is_looked_at_again_by_itself(binding: Binding, again: bool) -> None:
    assert (decide(connector(), seen(binding=binding), NOW).requeue is not None) is again
    assert decide(connector(), seen(found=found(URL)), NOW).requeue is None


def test_who_holds_a_number_is_named_with_the_number() -> None:
    held = conditions(decide(connector(), seen(holders={f"{ACCOUNT.sid}/{NUMBER_SID}": "acme/other"}), NOW))
    said = f"The TwilioConnector acme/other holds the number {NUMBER} ({NUMBER_SID}), and who holds it keeps it."
    assert held["Ready"][2].startswith(said)


def test_an_application_of_this_number_alone_carries_the_webhook_where_allowed() -> None:
    app = Carrier(Kind.APPLICATION, "AP" + "4" * 32, "Old app", "")
    alone = seen(found=found(number=number(application=app, application_numbers=(NUMBER_SID,))))
    [write] = decide(connector(webhookScope="Service"), alone, NOW).writes
    assert write.carrier.kind == "Application"
    shared = seen(found=found(number=number(application=app, application_numbers=(NUMBER_SID, "PNother"))))
    for scope in ("Service", "Number"):
        decision = decide(connector(webhookScope=scope), shared, NOW)
        assert (reason(decision), decision.writes) == ("WebhookOverriddenByApplication", ())


@pytest.mark.parametrize(
    ("url", "was"),
    [
        ("https://user:pass@intruder.example.com/hook?k=s", "https://intruder.example.com and was"),
        ("", "nothing and was"),
        (URL.partition("#")[0], f"{PUBLIC} with other settings and was"),
    ],
)
def test_a_repair_tells_what_stood_there_without_its_secrets(url: str, was: str) -> None:
    drifted = found(url)
    [write] = decide(connector(status=REGISTERED), seen(found=drifted), NOW).writes
    told = repaired(write, connector())
    assert (told.reason, told.type) == ("WebhookRepaired", "Warning")
    assert f"changed to {was}" in told.message
    assert "pass" not in told.message


def test_while_twilio_says_nothing_what_stood_there_is_still_told_to_stand() -> None:
    stood = {"type": "WebhookRegistered", "status": "True", "reason": "Registered", "message": "There."}
    status = {**REGISTERED, "conditions": [*REGISTERED["conditions"], {**stood, "lastTransitionTime": NOW.isoformat()}]}
    away = seen(account=Problem("TwilioUnavailable", "…", Mend.WAIT))
    told = conditions(decide(connector(status=status), away, NOW))
    assert told["WebhookRegistered"] == ("True", "Registered", "There.")
    assert told["Ready"][:2] == ("Unknown", "TwilioUnavailable")


def test_a_channel_that_is_not_connected_gives_the_connectors_reason() -> None:
    unbound: Any = decide(connector(), seen(binding=UNBOUND), NOW).status["channels"]
    assert [it["reason"] for it in unbound] == ["AgentNotBound"]
    asked: Any = decide(connector(), SEEN, NOW).status["channels"]
    assert [it["reason"] for it in asked] == ["Checking"]
