"""Who holds a connector, and under which addresses."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.api.agent import Agent, AgentRevision
from switchboard.api.connector import TwilioApi, TwilioConnector
from switchboard.reconcile.binding import base_url, bind, public_url
from switchboard.reconcile.facts import AgentFacts, agent_facts
from switchboard.reconcile.outcome import Problem

from .samples import agent, connector, revision, script

NAMES_SMS = script(connectors=[{"name": "sms"}])
LISTED = {"liveRevision": "support-v1", "connectors": [{"name": "sms", "status": "Checking"}]}


def serving(name: str, created: str, **status: Any) -> Any:
    return agent(name=name, status={**LISTED, **status}, creationTimestamp=created)


def live(*names: str, spec: Any = None) -> Any:
    return {name: revision("support-v1", **(spec or NAMES_SMS)) for name in names}


def facts(agents: list[Agent], live: dict[str, AgentRevision]) -> list[AgentFacts]:
    """What stands in their JSON."""
    revisions = {name: it.manifest() for name, it in live.items()}
    return [agent_facts(it.manifest(), revisions.get(it.metadata.name)) for it in agents]


def test_the_oldest_agent_whose_live_revision_names_it_holds_it() -> None:
    young, old = serving("a", "2026-11-22T11:00:00Z"), serving("b", "2026-11-22T10:00:00Z")
    assert bind(connector(), facts([young, old], live("a", "b"))).agent == "b"


def test_who_holds_it_keeps_it() -> None:
    young, old = serving("a", "2026-11-22T11:00:00Z"), serving("b", "2026-11-22T10:00:00Z")
    assert bind(connector(status={"agent": "a"}), facts([young, old], live("a", "b"))).agent == "a"


def test_who_no_longer_names_it_lets_go() -> None:
    one, two = serving("a", "2026-11-22T11:00:00Z"), serving("b", "2026-11-22T12:00:00Z")
    known = {**live("a", spec=script()), **live("b")}
    assert bind(connector(status={"agent": "a"}), facts([one, two], known)).agent == "b"


def test_it_waits_until_the_route_is_made() -> None:
    missing = serving("a", "2026-11-22T11:00:00Z", connectors=[{"name": "sms", "status": "ConnectorMissing"}])
    problem = bind(connector(), facts([missing], live("a"))).problem
    assert problem is not None
    assert problem.reason == "WaitingForAgent"


def test_an_agent_that_is_not_live_is_waited_for_and_its_trouble_repeated() -> None:
    stalled = {
        "type": "Stalled",
        "status": "True",
        "reason": "X",
        "message": "No such image.",
        "lastTransitionTime": "2026-11-22T11:00:00Z",
    }
    problem = bind(connector(), facts([agent(status={"conditions": [stalled]})], {})).problem
    assert problem is not None
    assert problem.reason == "WaitingForAgent"
    assert "No such image." in problem.message


def test_no_agent_names_it() -> None:
    problem = bind(connector(), facts([agent({"template": script()})], {})).problem
    assert problem is not None
    assert problem.reason == "AgentNotBound"


@pytest.mark.parametrize("url", ["https://[::1", "https://[::::]", "https://agents.example.com:99999", "https://:443"])
def test_what_is_no_url_is_said_and_breaks_nothing(url: str) -> None:
    spec = TwilioConnector.model_validate(
        {"spec": {"credentials": {"secretRef": {"name": "x"}}, "fromNumber": "+15005550006"}}
    ).spec.model_copy(update={"public_url": url, "api": TwilioApi.model_construct(base_url=url)})
    named = connector().model_copy(update={"spec": spec})
    for found in (
        public_url(named.spec.public_url, "https://agents.example.com", []),
        base_url(named, "https://agents.example.com", []),
    ):
        assert isinstance(found, Problem)
        assert found.reason == "HostNotAllowed"


def test_without_an_address_of_its_own_twilio_is_asked_where_the_operator_says_or_at_its_own_hosts() -> None:
    assert base_url(connector(), "http://egress.gateways/", []) == "http://egress.gateways"
    assert base_url(connector(), None, []) == ""
