"""Which Agent holds a connector, and under which address it is reached."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from switchboard.api.agent import Agent, AgentRevision
from switchboard.api.connector import TwilioConnector
from switchboard.api.hosts import host_allowed, host_of
from switchboard.api.reasons import AgentReason, ConditionType, ConnectorReason
from switchboard.api.runtime import message_path
from switchboard.reconcile.outcome import Mend, Problem

OVERRIDES = "#ct=2000&rt=3000&rc=5&rp=ct,rt,5xx"
"""Connection overrides: without a shorter read time-out, Twilio's 15 seconds leave none to try again.

https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""


@dataclass(frozen=True, slots=True)
class Binding:
    """The Agent that answers, or why there is none."""

    agent: str | None = None
    revision: str | None = None
    problem: Problem | None = None


def bind(connector: TwilioConnector, agents: Sequence[Agent], live: Mapping[str, AgentRevision]) -> Binding:
    """Who holds a connector: the Agent that holds it, as long as its live revision names it; else the oldest that does.

    Args:
        connector: The connector.
        agents: The Agents of its namespace that are not being deleted.
        live: Each Agent's live revision, by the Agent's name.
    """
    name = connector.metadata.name
    serving = [agent for agent in agents if _names(live.get(agent.metadata.name), name)]
    holding = [agent for agent in serving if agent.metadata.name == connector.status.agent]
    chosen = next(iter(holding or sorted(serving, key=_age)), None)
    if chosen is not None:
        if not _reached(chosen, name):
            message = f"The route to the Agent {chosen.metadata.name} is being made."
            return Binding(problem=Problem(ConnectorReason.WAITING_FOR_AGENT, message, Mend.WAIT))
        return Binding(chosen.metadata.name, chosen.status.live_revision)
    waiting = sorted(
        (agent for agent in agents if any(route.name == name for route in agent.spec.template.connectors)), key=_age
    )
    if waiting:
        message = f"The Agent {waiting[0].metadata.name} names this connector and has no live revision yet that does."
        stalled = next((it for it in waiting[0].status.conditions if it.type == ConditionType.STALLED), None)
        if stalled is not None:
            message += f" It says: {stalled.message}"
        return Binding(problem=Problem(ConnectorReason.WAITING_FOR_AGENT, message, Mend.WAIT))
    message = (
        f"No Agent of the namespace {connector.metadata.namespace} names this connector. Add `- name: {name}` to "
        "spec.template.connectors of the Agent that should answer."
    )
    return Binding(problem=Problem(ConnectorReason.AGENT_NOT_BOUND, message, Mend.ARRIVE))


def _names(revision: AgentRevision | None, connector: str) -> bool:
    return revision is not None and any(route.name == connector for route in revision.spec.connectors)


def _reached(agent: Agent, connector: str) -> bool:
    """Whether the Agent has made its route since it knows of the connector: that is when it lists it."""
    return any(
        summary.name == connector and summary.status != AgentReason.CONNECTOR_MISSING
        for summary in agent.status.connectors
    )


def _age(agent: Agent) -> tuple[float, str]:
    created = agent.metadata.creation_timestamp
    return (created.timestamp() if created is not None else 0.0, agent.metadata.name)


def public_url(connector: TwilioConnector, operator_url: str | None, allowed: Collection[str]) -> str | Problem:
    """The address below which Twilio reaches this connector."""
    url = connector.spec.public_url or operator_url
    if not url:
        message = (
            "Twilio needs a public address to post to. Set spec.publicURL, or publicURL in the operator's Helm values."
        )
        return Problem(ConnectorReason.PUBLIC_URL_MISSING, message)
    if connector.spec.public_url and not host_allowed(url, [operator_url], allowed):
        return Problem(ConnectorReason.HOST_NOT_ALLOWED, _not_allowed("spec.publicURL", url))
    return url.rstrip("/")


def base_url(connector: TwilioConnector, operator_url: str | None, allowed: Collection[str]) -> str | Problem:
    """Where Twilio's API is asked: empty for Twilio's own hosts. Credentials go nowhere that is not allowed."""
    if connector.spec.api is None:
        return (operator_url or "").rstrip("/")
    url = connector.spec.api.base_url
    if not host_allowed(url, [operator_url], allowed):
        return Problem(ConnectorReason.HOST_NOT_ALLOWED, _not_allowed("spec.api.baseURL", url))
    return url.rstrip("/")


def _not_allowed(field: str, url: str) -> str:
    host = host_of(url)
    if not host:
        return f"{field} is no URL that can be asked. Write https:// and a host."
    return (
        f"{field} names the host {host}, which this operator does not allow. Use an allowed one, or have {host} added "
        "to allowedHosts in the operator's Helm values."
    )


def webhook_url(public: str, connector: TwilioConnector) -> str:
    """What is registered at Twilio."""
    return public + message_path(connector.metadata.namespace, connector.metadata.name) + OVERRIDES
