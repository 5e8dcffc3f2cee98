"""Who is reconciled because of what; and nobody because of our own statuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from switchboard.controller.queue import Key
from switchboard.controller.store import Store
from switchboard.controller.triggers import Triggers
from switchboard.kube import resources
from switchboard.reconcile.workloads import ANNOTATION_SECRETS

AGENT: dict[str, Any] = {
    "metadata": {"name": "support", "namespace": "acme", "uid": "a", "generation": 1},
    "spec": {"template": {"connectors": [{"name": "sms"}]}},
    "status": {"liveRevision": "support-v1", "connectors": [{"name": "sms", "status": "Connected"}]},
}
CONNECTOR: dict[str, Any] = {
    "metadata": {"name": "sms", "namespace": "acme", "uid": "c", "generation": 1},
    "spec": {"credentials": {"secretRef": {"name": "twilio"}}},
    "status": {
        "agent": "support",
        "conditions": [{"type": "Ready", "status": "True", "reason": "Connected", "message": "x"}],
    },
}
OF_AGENT, OF_CONNECTOR = Key("Agent", "acme", "support"), Key("TwilioConnector", "acme", "sms")


@pytest.fixture
def triggers() -> Triggers:
    store = Store()
    store.put(resources.AGENTS, copy.deepcopy(AGENT))
    store.put(resources.TWILIO_CONNECTORS, copy.deepcopy(CONNECTOR))
    return Triggers(store)


def changed(obj: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    result = copy.deepcopy(obj)
    place: Any = result
    for key in path[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    place[path[-1]] = to
    return result


def of(triggers: Triggers, resource: Any, old: Any, new: Any) -> set[Key]:
    return set(triggers.of(resource, old, new))


def test_a_new_agent_leads_to_itself_and_its_connectors(triggers: Triggers) -> None:
    assert of(triggers, resources.AGENTS, None, AGENT) == {OF_AGENT, OF_CONNECTOR}


WAITS = [{"type": "Reconciling", "status": "True", "reason": "ConnectorsNotReady", "message": "x"}]
CHECKED = changed(CONNECTOR, "status", "conditions", 0, "status", to="Unknown")


def knowing(agent: Any, *connectors: Any) -> Triggers:
    store = Store()
    store.put(resources.AGENTS, copy.deepcopy(agent))
    for connector in connectors:
        store.put(resources.TWILIO_CONNECTORS, copy.deepcopy(connector))
    return Triggers(store)


def test_how_far_one_of_several_connectors_is_can_wait() -> None:
    two = changed(AGENT, "spec", "template", "connectors", to=[{"name": "sms"}, {"name": "voice"}])
    other = changed(CHECKED, "metadata", "name", to="voice")
    waiting = knowing(changed(two, "status", "conditions", to=WAITS), CONNECTOR, other)
    assert waiting.only_how_far(OF_AGENT, CHECKED, CONNECTOR)
    new, elsewhere = None, changed(CONNECTOR, "spec", "publicURL", to="https://other.example.com")
    assert not waiting.only_how_far(OF_AGENT, new, CONNECTOR)
    assert not waiting.only_how_far(OF_AGENT, CHECKED, elsewhere)
    assert not waiting.only_how_far(OF_AGENT, CHECKED, changed(CONNECTOR, "status", "agent", to="sales"))


def test_the_last_connector_and_one_that_breaks_are_told_at_once() -> None:
    waiting = knowing(changed(AGENT, "status", "conditions", to=WAITS), CONNECTOR)
    assert not waiting.only_how_far(OF_AGENT, CHECKED, CONNECTOR)
    serving = knowing(AGENT, CHECKED)
    assert not serving.only_how_far(OF_AGENT, CONNECTOR, CHECKED)


def test_our_own_status_leads_to_nothing(triggers: Triggers) -> None:
    told = changed(AGENT, "status", "conditions", to=[{"type": "Ready", "status": "True"}])
    assert of(triggers, resources.AGENTS, AGENT, told) == set()
    sid = changed(CONNECTOR, "status", "phoneNumber", to={"sid": "PN"})
    assert of(triggers, resources.TWILIO_CONNECTORS, CONNECTOR, sid) == set()


def test_a_status_that_somebody_emptied_is_written_anew(triggers: Triggers) -> None:
    assert OF_CONNECTOR in of(triggers, resources.TWILIO_CONNECTORS, CONNECTOR, changed(CONNECTOR, "status", to={}))


@pytest.mark.parametrize(
    "path",
    [
        ("metadata", "generation"),
        ("metadata", "deletionTimestamp"),
        ("metadata", "annotations", "switchboard.dev/test"),
    ],
)
def test_what_people_change_leads_to_the_object(triggers: Triggers, path: tuple[str, ...]) -> None:
    new = changed(CONNECTOR, *path, to="2")
    assert OF_CONNECTOR in of(triggers, resources.TWILIO_CONNECTORS, CONNECTOR, new)


def test_another_live_revision_leads_to_the_connectors(triggers: Triggers) -> None:
    new = changed(AGENT, "status", "liveRevision", to="support-v2")
    assert of(triggers, resources.AGENTS, AGENT, new) == {OF_CONNECTOR}


def test_a_connector_that_is_no_longer_connected_leads_to_its_agent(triggers: Triggers) -> None:
    new = changed(CONNECTOR, "status", "conditions", 0, "reason", to="NumberNotFound")
    assert of(triggers, resources.TWILIO_CONNECTORS, CONNECTOR, new) == {OF_AGENT}


def test_a_deleted_connector_leads_to_its_agent(triggers: Triggers) -> None:
    assert OF_AGENT in of(triggers, resources.TWILIO_CONNECTORS, CONNECTOR, None)


def test_a_secret_leads_to_its_connectors_and_their_agents(triggers: Triggers) -> None:
    assert set(triggers.secret("acme", "twilio")) == {OF_AGENT, OF_CONNECTOR}
    assert set(triggers.secret("acme", "unrelated")) == set()


MADE = {
    "metadata": {"name": "support-v1", "namespace": "acme", "uid": "m", "labels": {"switchboard.dev/agent": "support"}},
    "data": {"a": "1"},
}


def test_what_somebody_changes_in_what_we_made_leads_to_the_agent(triggers: Triggers) -> None:
    for new in (changed(MADE, "data", "a", to="2"), None):
        assert of(triggers, resources.CONFIG_MAPS, MADE, new) == {OF_AGENT}


def test_what_changes_by_itself_in_what_we_made_leads_to_nothing(triggers: Triggers) -> None:
    new = changed(changed(MADE, "status", to={"x": 1}), "metadata", "resourceVersion", to="9")
    assert of(triggers, resources.HPAS, MADE, new) == set()


def test_a_drained_revision_leads_to_its_agent(triggers: Triggers) -> None:
    labelled = {**MADE, "metadata": {**MADE["metadata"], "generation": 1}}
    new = changed(labelled, "status", "drain", to={"revision": "support-v2", "working": 0})
    assert of(triggers, resources.AGENT_REVISIONS, labelled, new) == {OF_AGENT}


def running(version: str, *, name: str = "support-v1", available: int = 1) -> dict[str, Any]:
    """A Deployment of one pod, whose pods mount that version of the credentials."""
    metadata = {**MADE["metadata"], "name": name, "annotations": {ANNOTATION_SECRETS: f'{{"twilio": "{version}"}}'}}
    return {
        "metadata": metadata,
        "spec": {"replicas": 1},
        "status": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": available},
    }


def test_credentials_that_all_pods_of_the_live_revision_have_lead_to_its_connectors(triggers: Triggers) -> None:
    rolling = running("2", available=0)
    assert OF_CONNECTOR in of(triggers, resources.DEPLOYMENTS, rolling, running("2"))
    assert OF_CONNECTOR not in of(triggers, resources.DEPLOYMENTS, running("2"), running("2"))
    assert OF_CONNECTOR not in of(triggers, resources.DEPLOYMENTS, running("1"), rolling)
    assert OF_CONNECTOR not in of(triggers, resources.DEPLOYMENTS, running("2"), None)


def test_credentials_of_a_revision_that_is_not_live_lead_to_no_connector(triggers: Triggers) -> None:
    old, new = running("1", name="support-v0"), running("2", name="support-v0")
    assert of(triggers, resources.DEPLOYMENTS, old, new) == {OF_AGENT}


@pytest.mark.parametrize(
    "change",
    [
        {"readyReplicas": 1},
        {"observedGeneration": 1},
        {"conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}]},
    ],
    ids=["a pod more", "seen", "available"],
)
def test_how_far_a_rollout_is_leads_to_the_agent(triggers: Triggers, change: dict[str, Any]) -> None:
    old = changed(running("1"), "metadata", "generation", to=1)
    new = changed(old, "status", to={**old["status"], **change})
    assert OF_AGENT in of(triggers, resources.DEPLOYMENTS, old, new)
    counted = changed(old, "status", "unavailableReplicas", to=1)
    assert of(triggers, resources.DEPLOYMENTS, old, counted) == set()


def test_a_secret_of_an_engine_leads_to_its_agent_however_deep_it_is_named() -> None:
    server = {"name": "orders", "headersSecretRef": {"name": "orders-mcp"}}
    keyed = {"model": {"apiKey": {"secretRef": {"name": "openai", "key": "k"}}, "mcpServers": [server]}}
    deep = knowing(changed(AGENT, "spec", "template", "engine", to=keyed))
    for name in ("openai", "orders-mcp"):
        assert set(deep.secret("acme", name)) == {OF_AGENT}
    assert set(deep.secret("acme", "orders")) == set()
    assert set(deep.secret("other", "openai")) == set()


def test_a_connector_that_is_found_missing_or_there_again_leads_to_itself_once_something_serves(
    triggers: Triggers,
) -> None:
    missing = changed(AGENT, "status", "connectors", 0, "status", to="ConnectorMissing")
    assert of(triggers, resources.AGENTS, AGENT, missing) == {OF_CONNECTOR}
    assert of(triggers, resources.AGENTS, missing, AGENT) == {OF_CONNECTOR}
    waiting = changed(AGENT, "status", "liveRevision", to=None)
    unbound = changed(missing, "status", "liveRevision", to=None)
    assert of(triggers, resources.AGENTS, waiting, unbound) == set()
