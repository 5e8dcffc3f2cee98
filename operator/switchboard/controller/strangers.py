"""Deployments that somebody else labelled as an Agent's: they are left alone, and told of once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from switchboard.api.meta import LABEL_AGENT, LABEL_REVISION
from switchboard.api.reasons import AgentReason
from switchboard.controller.queue import Key
from switchboard.kube.resources import Object
from switchboard.reconcile.outcome import Event
from switchboard.reconcile.owners import controller, whose


class Strangers:
    """Knows which were told of already; a restart tells of them again."""

    def __init__(self) -> None:
        self._told: dict[Key, frozenset[str]] = {}

    def found(self, agent: Key, deployments: Iterable[Object]) -> Iterator[Event]:
        """What to tell of the Deployments that carry an Agent's label."""
        strange = [it for it in deployments if (controller(it) or {}).get("kind") != "AgentRevision"]
        told = self._told.pop(agent, frozenset())
        if strange:
            self._told[agent] = frozenset(it["metadata"]["uid"] for it in strange)
        for deployment in strange:
            if deployment["metadata"]["uid"] not in told:
                yield _event(deployment)

    def forget(self, agent: Key) -> None:
        """An Agent is gone."""
        self._told.pop(agent, None)


def _event(deployment: Object) -> Event:
    name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
    message = (
        f"The Deployment {name} carries the label {LABEL_AGENT} and belongs to {whose(deployment)}: it is left as it "
        f"is. Where its pods carry {LABEL_REVISION} as well, the Agent's messages reach them. Take the label away: "
        f"kubectl label deployment {name} {LABEL_AGENT}- -n {namespace}"
    )
    return Event(AgentReason.LABELLED_BY_HAND, message, "Warning")
