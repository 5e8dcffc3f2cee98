"""Which Agent holds a connector, and under which address it is reached."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from switchboard.api.connector import TwilioConnector
from switchboard.api.hosts import host_allowed, host_of
from switchboard.api.reasons import ConnectorReason
from switchboard.api.runtime import OVERRIDES, message_path
from switchboard.reconcile.facts import AgentFacts
from switchboard.reconcile.outcome import Mend, Problem


@dataclass(frozen=True, slots=True)
class Binding:
    """The Agent that answers, or why there is none."""

    agent: str | None = None
    revision: str | None = None
    problem: Problem | None = None


def bind(connector: TwilioConnector, agents: Sequence[AgentFacts]) -> Binding:
    """Who holds a connector: the Agent that holds it, as long as its live revision names it; else the oldest that does.

    Args:
        connector: The connector.
        agents: The Agents of its namespace that are not being deleted.
    """
    name = connector.metadata.name
    serving = [agent for agent in agents if name in agent.live_names]
    holding = [agent for agent in serving if agent.name == connector.status.agent]
    chosen = next(iter(holding or sorted(serving, key=_age)), None)
    if chosen is not None:
        if name not in chosen.listed:  # it lists those that it has made its route for
            message = f"The route to the Agent {chosen.name} is being made."
            return Binding(problem=Problem(ConnectorReason.WAITING_FOR_AGENT, message, Mend.WAIT))
        return Binding(chosen.name, chosen.live_revision)
    waiting = sorted((agent for agent in agents if name in agent.names), key=_age)
    if waiting:
        message = f"The Agent {waiting[0].name} names this connector and has no live revision yet that does."
        stalled = waiting[0].stalled
        if stalled is not None:
            message += f" It says: {stalled.message}"
        return Binding(problem=Problem(ConnectorReason.WAITING_FOR_AGENT, message, Mend.WAIT))
    message = (
        f"No Agent of the namespace {connector.metadata.namespace} names this connector. Add `- name: {name}` to "
        "spec.template.connectors of the Agent that should answer."
    )
    return Binding(problem=Problem(ConnectorReason.AGENT_NOT_BOUND, message, Mend.ARRIVE))


def _age(agent: AgentFacts) -> tuple[str, str]:
    return (agent.created, agent.name)


def public_url(own: str | None, operator_url: str | None, allowed: Collection[str]) -> str | Problem:
    """The address below which Twilio reaches a connector whose `spec.publicURL` is `own`."""
    url = own or operator_url
    if not url:
        message = (
            "Twilio needs a public address to post to. Set spec.publicURL, or publicURL in the operator's Helm values."
        )
        return Problem(ConnectorReason.PUBLIC_URL_MISSING, message)
    if own and not host_allowed(url, [operator_url], allowed):
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
