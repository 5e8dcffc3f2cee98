"""What Agents and their revisions say of themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from switchboard.api.reasons import AgentReason
from switchboard.reconcile.agents import Decision, Seen, agent_status, conversation_log, first_status, revision_status
from switchboard.reconcile.conditions import ARRIVAL, timestamp
from switchboard.reconcile.facts import ConnectorFacts, Said
from switchboard.reconcile.outcome import Mend, Problem
from switchboard.reconcile.revisions import Plan, Workload

from .samples import NOW, agent, revision

READY = Workload(True, 2, 2)
STARTING = Workload(False, 1, 2)
FAILED = Workload(False, 0, 2, Problem("RevisionFailed", "It crashed: no such table."))
WAITING = Workload(False, 0, 2, Problem("Deploying", "A pod has no node.", Mend.WAIT))
CONNECTED = ConnectorFacts("twilio", None, "support", Said("True", "Connected", "+1… is connected."), stalled=False)
SERVED = Plan("support-v1", None, "support-v1")
UPDATED = Plan("support-v2", None, "support-v1")


def refused(*, stalled: bool) -> ConnectorFacts:
    return ConnectorFacts("twilio", None, "support", Said("False", "NumberNotFound", "No such number."), stalled)


def decide(plan: Plan, *, status: Any = None, url: str | None = None, blocked: Any = None, **seen: Any) -> Decision:
    facts = {"connectors": {"sms": CONNECTED}, "workloads": {"support-v1": READY}, **seen}
    return agent_status(agent(status=status), plan, Seen(**facts, url=url, blocked=blocked), NOW)


def conditions(decision: Decision) -> dict[str, tuple[str, str]]:
    found: Any = decision.status["conditions"]
    return {it["type"]: (it["status"], it["reason"]) for it in found}


def message(decision: Decision, kind: str = "Ready") -> str:
    found: Any = decision.status["conditions"]
    return next(it["message"] for it in found if it["type"] == kind)


def test_an_agent_that_serves_and_is_connected_is_ready_and_nothing_is_under_way() -> None:
    decision = decide(SERVED, url="https://agents.example.com/twilio/acme")
    assert conditions(decision) == {
        "ConnectorsReady": ("True", "ConnectorsConnected"),
        "Ready": ("True", "Serving"),
        "RevisionReady": ("True", "RevisionAvailable"),
    }
    assert {key: decision.status[key] for key in ("desiredRevision", "liveRevision", "url", "connectors")} == {
        "desiredRevision": "support-v1",
        "liveRevision": "support-v1",
        "url": "https://agents.example.com/twilio/acme",
        "connectors": [{"name": "sms", "status": "Connected"}],
    }
    assert decision.status["connectorsReady"] == "1/1"
    assert decision.requeue is None


def test_a_new_live_revision_is_told_before_all_else_with_the_one_before() -> None:
    assert next(it.message for it in decide(SERVED).events) == "support-v1 serves."
    before = decide(SERVED, status={"liveRevision": "support-v0"}).events
    assert (before[0].reason, before[0].message) == ("RevisionLive", "support-v1 serves instead of support-v0.")
    assert "RevisionLive" not in [it.reason for it in decide(SERVED, status={"liveRevision": "support-v1"}).events]


@pytest.mark.parametrize(
    ("workload", "reason", "said", "stalled"),
    [
        (None, "Deploying", "support-v2 is being deployed.", False),
        (STARTING, "Deploying", "support-v2 is being deployed: 1 of 2 pods are ready.", False),
        (WAITING, "Deploying", "support-v2: A pod has no node.", False),
        (FAILED, "RevisionFailed", "support-v2: It crashed: no such table.", True),
        (READY, "Deploying", "support-v2 is about to serve.", False),
    ],
    ids=["no Deployment", "starting", "waiting", "failed", "ready"],
)
def test_until_the_desired_revision_serves_the_agent_says_why_and_that_the_old_one_goes_on(
    workload: Workload | None, reason: str, said: str, stalled: bool
) -> None:
    workloads = {"support-v1": READY} | ({"support-v2": workload} if workload is not None else {})
    decision = decide(UPDATED, workloads=workloads)
    assert message(decision) == f"{said} support-v1 goes on serving."
    progress = "Stalled" if stalled else "Reconciling"
    assert conditions(decision) == {
        "ConnectorsReady": ("True", "ConnectorsConnected"),
        "Ready": ("False", reason),
        "RevisionReady": ("False", reason),
        progress: ("True", reason),
    }


def test_where_nothing_serves_yet_nothing_is_said_to_go_on() -> None:
    assert message(decide(Plan("support-v1", None, None), workloads={})) == "support-v1 is being deployed."
    unready = decide(SERVED, workloads={"support-v1": STARTING})
    assert message(unready) == "support-v1 is being deployed: 1 of 2 pods are ready."


def test_what_stands_in_the_plans_way_speaks_before_what_could_not_be_applied_and_that_before_the_pods() -> None:
    taken, blocked = Problem("RevisionNameTaken", "Taken."), Problem("NameTaken", "Blocked.", Mend.ARRIVE)
    plan = Plan("support-v1", None, "support-v1", problem=taken)
    workloads = {"support-v1": FAILED}
    assert message(decide(plan, blocked=blocked, workloads=workloads)) == "Taken."
    assert message(decide(SERVED, blocked=blocked, workloads=workloads)) == "Blocked."


def test_what_may_arrive_with_the_same_commit_is_looked_at_again_after_it_has_been_waited_for() -> None:
    blocked = Problem("NameTaken", "Blocked.", Mend.ARRIVE)
    decision = decide(SERVED, blocked=blocked)
    assert conditions(decision)["Reconciling"] == ("True", "NameTaken")
    assert decision.requeue is not None
    assert decision.requeue > ARRIVAL.total_seconds()
    since = {"type": "Reconciling", "status": "True", "reason": "NameTaken"}
    waited = {"conditions": [{**since, "lastTransitionTime": timestamp(NOW - ARRIVAL)}]}
    assert conditions(decide(SERVED, blocked=blocked, status=waited))["Stalled"] == ("True", "NameTaken")
    soon = {"conditions": [{**since, "lastTransitionTime": timestamp(NOW - ARRIVAL + timedelta(seconds=1))}]}
    assert "Stalled" not in conditions(decide(SERVED, blocked=blocked, status=soon))


def test_an_agent_without_connectors_says_that_it_names_none() -> None:
    decision = decide(SERVED, connectors={})
    assert conditions(decision)["ConnectorsReady"] == ("True", "NoConnectors")
    assert conditions(decision)["Ready"] == ("True", "Serving")
    assert (decision.status["connectors"], decision.status["connectorsReady"]) == (None, "0/0")


@pytest.mark.parametrize(
    ("facts", "state", "reason", "said"),
    [
        (None, "ConnectorMissing", "ConnectorMissing", "there is no such TwilioConnector in namespace acme"),
        (
            ConnectorFacts("twilio", None, "sales", None, stalled=False),
            "ConnectorTaken",
            "ConnectorTaken",
            "belongs to the Agent sales",
        ),
        (ConnectorFacts("twilio", None, None, None, stalled=False), "Checking", "ConnectorsNotReady", "being checked"),
        (refused(stalled=False), "NumberNotFound", "ConnectorsNotReady", "sms: No such number."),
        (
            ConnectorFacts("twilio", None, None, Said("False", "Rejected", ""), stalled=True),
            "Rejected",
            "ConnectorsNotReady",
            "sms: Rejected",
        ),
    ],
    ids=["missing", "taken", "not looked at", "refused", "without words"],
)
def test_a_connector_that_is_not_connected_says_why(
    facts: ConnectorFacts | None, state: str, reason: str, said: str
) -> None:
    decision = decide(SERVED, connectors={"sms": facts, "voice": CONNECTED})
    assert conditions(decision)["ConnectorsReady"] == conditions(decision)["Ready"] == ("False", reason)
    assert conditions(decision)["RevisionReady"] == ("True", "RevisionAvailable")
    assert said in message(decision)
    assert decision.status["connectors"] == [
        {"name": "sms", "status": state},
        {"name": "voice", "status": "Connected"},
    ]
    assert decision.status["connectorsReady"] == "1/2"


def test_what_a_person_must_mend_is_said_before_what_goes_on_by_itself() -> None:
    facts = {"a": refused(stalled=False), "b": refused(stalled=True)}
    decision = decide(SERVED, connectors=facts)
    assert message(decision).startswith("b: ")
    assert conditions(decision)["Stalled"] == ("True", "ConnectorsNotReady")


def test_the_log_is_the_agents_own_or_the_operators_default() -> None:
    plain = agent()
    assert conversation_log(plain, "Resources", "db", "dsn").backend == "Resources"
    log = conversation_log(plain, "Postgres", "db", "dsn")
    assert log.postgres is not None
    assert (log.backend, log.postgres.secret_ref.name, log.postgres.secret_ref.key) == ("Postgres", "db", "dsn")
    own = agent({"template": plain.spec.template.manifest(), "conversationLog": {"backend": "Resources"}})
    assert conversation_log(own, "Postgres", "db", "dsn").backend == "Resources"


# Revisions


def told(workload: Workload | None, *, live: str | None, desired: str | None, status: Any = None) -> Decision:
    return revision_status(revision(status=status), workload, live=live, desired=desired, now=NOW)


ME, OTHER = "support-v1", "support-v2"


@pytest.mark.parametrize(
    ("workload", "live", "desired", "state", "available"),
    [
        (READY, ME, ME, "Serving", ("True", "RevisionAvailable")),
        (FAILED, ME, OTHER, "Serving", ("False", "RevisionFailed")),
        (STARTING, OTHER, ME, "Starting", ("False", "Progressing")),
        (WAITING, OTHER, ME, "Starting", ("False", "Deploying")),
        (None, OTHER, ME, "Starting", ("False", "Progressing")),
        (FAILED, OTHER, ME, "Failed", ("False", "RevisionFailed")),
        (READY, OTHER, OTHER, "Draining", ("True", "Superseded")),
        (STARTING, OTHER, OTHER, "Draining", ("False", "Progressing")),
        (None, OTHER, OTHER, "Standby", ("False", "Standby")),
    ],
)
def test_a_revision_says_what_it_does_and_whether_its_pods_are_ready(
    workload: Workload | None, live: str, desired: str, state: str, available: tuple[str, str]
) -> None:
    decision = told(workload, live=live, desired=desired)
    assert decision.status["state"] == state
    assert conditions(decision)["Available"] == available
    assert decision.status["ready"] == (f"{workload.ready}/{workload.wanted}" if workload is not None else None)


@pytest.mark.parametrize(
    ("workload", "live", "progress"),
    [
        (READY, ME, None),
        (STARTING, OTHER, ("Reconciling", "Progressing")),
        (FAILED, OTHER, ("Stalled", "RevisionFailed")),
        (None, OTHER, None),
    ],
)
def test_only_a_revision_whose_pods_are_not_ready_is_under_way_or_stalled(
    workload: Workload | None, live: str, progress: tuple[str, str] | None
) -> None:
    said = conditions(told(workload, live=live, desired=ME))
    found = [(kind, said[kind][1]) for kind in ("Reconciling", "Stalled") if kind in said]
    assert found == ([progress] if progress is not None else [])


def test_one_that_drains_is_not_under_way() -> None:
    assert set(conditions(told(STARTING, live=OTHER, desired=OTHER))) == {"Available"}


EARLIER = "2026-11-22T09:00:00Z"


@pytest.mark.parametrize(
    ("live", "status", "promoted"),
    [
        (ME, {}, timestamp(NOW)),
        (ME, {"state": "Serving", "promotedTime": EARLIER}, EARLIER),
        (ME, {"state": "Failed", "promotedTime": EARLIER}, EARLIER),
        (ME, {"state": "Draining", "promotedTime": EARLIER}, timestamp(NOW)),
        (ME, {"state": "Standby", "promotedTime": EARLIER}, timestamp(NOW)),
        (OTHER, {"state": "Serving", "promotedTime": EARLIER}, EARLIER),
        (OTHER, {}, None),
    ],
)
def test_a_revision_says_since_when_it_last_serves(live: str, status: Any, promoted: str | None) -> None:
    assert told(READY, live=live, desired=ME, status=status).status["promotedTime"] == promoted


def test_what_its_pods_said_when_it_was_superseded_is_cleared_once_it_is_live_again() -> None:
    assert told(READY, live=ME, desired=ME).status["drain"] is None
    assert "drain" not in told(READY, live=OTHER, desired=OTHER).status


def test_what_was_not_looked_at_is_taken_for_neither_done_nor_failed() -> None:
    status: Any = first_status([], 3, NOW)
    assert [(it["type"], it["status"], it["observedGeneration"]) for it in status["conditions"]] == [
        ("Ready", "Unknown", 3),
        ("Reconciling", "True", 3),
    ]
    assert AgentReason.CHECKING in {it["reason"] for it in status["conditions"]}
