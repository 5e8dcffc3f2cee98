"""What is read of the objects around the one that is decided on, from their JSON.

An Agent looks at each of its connectors, and a connector at its Agents, many times as often as each changes: to make
whole models of them took more than all decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from switchboard.api.reasons import AgentReason, ConditionType


@dataclass(frozen=True, slots=True)
class Said:
    """What a condition says."""

    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ConnectorFacts:
    """What an Agent reads of a TwilioConnector."""

    secret: str
    """The Secret of its credentials."""
    public_url: str | None
    agent: str | None
    """The Agent that holds it."""
    ready: Said | None
    stalled: bool


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What a connector reads of an Agent."""

    name: str
    created: str
    """RFC 3339 in UTC, which sorts as the times do."""
    live_revision: str | None
    live_names: frozenset[str]
    """The connectors that its live revision names."""
    names: frozenset[str]
    """The connectors that its template names."""
    listed: frozenset[str]
    """The connectors that its route has been made for."""
    stalled: Said | None


def connector_facts(obj: Mapping[str, Any]) -> ConnectorFacts:
    """Reads a TwilioConnector."""
    spec, status = obj["spec"], obj.get("status") or {}
    stalled = _condition(status, ConditionType.STALLED)
    return ConnectorFacts(
        spec["credentials"]["secretRef"]["name"],
        spec.get("publicURL"),
        status.get("agent"),
        _condition(status, ConditionType.READY),
        stalled is not None and stalled.status == "True",
    )


def agent_facts(obj: Mapping[str, Any], live: Mapping[str, Any] | None) -> AgentFacts:
    """Reads an Agent and, if it is there, its live AgentRevision."""
    status = obj.get("status") or {}
    listed = status.get("connectors") or ()
    return AgentFacts(
        obj["metadata"]["name"],
        obj["metadata"].get("creationTimestamp") or "",
        status.get("liveRevision"),
        _names(live["spec"]) if live is not None else frozenset(),
        _names(obj["spec"]["template"]),
        frozenset(it["name"] for it in listed if it["status"] != AgentReason.CONNECTOR_MISSING),
        _condition(status, ConditionType.STALLED),
    )


def _names(template: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(route["name"] for route in template.get("connectors") or ())


def _condition(status: Mapping[str, Any], kind: str) -> Said | None:
    for it in status.get("conditions") or ():
        if it["type"] == kind:
            return Said(it["status"], it["reason"], it.get("message", ""))
    return None
