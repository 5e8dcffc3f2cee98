"""From a change in the cluster to what has to be reconciled because of it."""

from __future__ import annotations

from collections.abc import Iterator

from switchboard.api.meta import ANNOTATION_TEST, LABEL_AGENT
from switchboard.controller.context import AGENT, CONNECTOR
from switchboard.controller.queue import Key
from switchboard.controller.store import Store, connectors_of, part
from switchboard.kube import resources
from switchboard.kube.resources import Object, ResourceType
from switchboard.reconcile import workloads
from switchboard.reconcile.conditions import is_reconciling


class Triggers:
    """Knows who depends on whom. Changes that nobody depends on, such as our own statuses, lead to nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, resource: ResourceType, old: Object | None, new: Object | None) -> Iterator[Key]:
        """What to reconcile after a change. `old` is None for a new object, `new` for one that is gone."""
        obj = new or old
        if obj is None:
            return
        if resource is resources.AGENTS:
            yield from self._agent(old, new, obj)
        elif resource is resources.AGENT_REVISIONS:
            yield from _owner(obj) if _said(old) != _said(new) else ()
        elif resource is resources.TWILIO_CONNECTORS:
            yield from self._connector(old, new, obj)
        elif resource is resources.DEPLOYMENTS:
            yield from self._deployment(old, new, obj)
        elif resource is resources.PODS or part(old) != part(new):
            yield from _owner(obj)

    def secret(self, namespace: str, name: str) -> Iterator[Key]:
        """What to reconcile after a change of a Secret: who refers to it, at first or second hand."""
        users: set[str] = set()
        for obj in self._store.all(resources.TWILIO_CONNECTORS, namespace):
            ref = (((obj.get("spec") or {}).get("credentials") or {}).get("secretRef") or {}).get("name")
            if ref == name:
                users.add(obj["metadata"]["name"])
                yield Key(CONNECTOR, namespace, obj["metadata"]["name"])
        for obj in self._store.all(resources.AGENTS, namespace):
            spec = obj.get("spec") or {}
            if _mentions(spec, name) or users & connectors_of(obj):
                yield Key(AGENT, namespace, obj["metadata"]["name"])

    def only_how_far(self, agent: Key, old: Object | None, new: Object | None) -> bool:
        """Whether a connector's change tells only how far it is, to an Agent that waits for others of its own too."""
        if old is None or new is None or _for_route(old, agent) != _for_route(new, agent):
            return False
        found = self._store.get(resources.AGENTS, agent.namespace, agent.name)
        if found is None or not is_reconciling(found.get("status") or {}):
            return False
        facts = (self._store.connector(agent.namespace, name) for name in connectors_of(found))
        return any(it is None or it.ready is None or it.ready.status != "True" for it in facts)

    def _agent(self, old: Object | None, new: Object | None, obj: Object) -> Iterator[Key]:
        if _said(old) != _said(new) or _emptied(old, new):
            yield _key(AGENT, obj)
        if _for_connectors(old) != _for_connectors(new):
            for name in sorted(connectors_of(old) | connectors_of(new)):
                if self._store.get(resources.TWILIO_CONNECTORS, obj["metadata"]["namespace"], name) is not None:
                    yield Key(CONNECTOR, obj["metadata"]["namespace"], name)

    def _connector(self, old: Object | None, new: Object | None, obj: Object) -> Iterator[Key]:
        if _said(old) != _said(new) or _emptied(old, new):
            yield _key(CONNECTOR, obj)
        if _for_agents(old) != _for_agents(new):
            namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
            for agent in self._store.naming(namespace, name):
                yield Key(AGENT, namespace, agent)

    def _deployment(self, old: Object | None, new: Object | None, obj: Object) -> Iterator[Key]:
        if part(old) != part(new) or _progress(old) != _progress(new):
            yield from _owner(obj)
        before = workloads.rolled_out(old) if old is not None else {}
        after = workloads.rolled_out(new) if new is not None else {}
        if after and before != after:
            namespace = obj["metadata"]["namespace"]
            label = (obj["metadata"].get("labels") or {}).get(LABEL_AGENT, "")
            agent = self._store.get(resources.AGENTS, namespace, label)
            # Credentials count as rolled out when the live revision has them; when it becomes live is told by itself.
            if ((agent or {}).get("status") or {}).get("liveRevision") != obj["metadata"]["name"]:
                return
            for name in sorted(connectors_of(agent)):
                if self._store.get(resources.TWILIO_CONNECTORS, namespace, name) is not None:
                    yield Key(CONNECTOR, namespace, name)


def _key(kind: str, obj: Object) -> Key:
    return Key(kind, obj["metadata"]["namespace"], obj["metadata"]["name"])


def _owner(obj: Object) -> Iterator[Key]:
    agent = (obj["metadata"].get("labels") or {}).get(LABEL_AGENT)
    if agent:
        yield Key(AGENT, obj["metadata"]["namespace"], agent)


def _said(obj: Object | None) -> object:
    """What others than this operator say of one of our objects."""
    if obj is None:
        return None
    metadata, status = obj["metadata"], obj.get("status") or {}
    return (
        metadata.get("uid"),
        metadata.get("generation"),
        metadata.get("deletionTimestamp"),
        (metadata.get("annotations") or {}).get(ANNOTATION_TEST),
        (metadata.get("labels") or {}).get(LABEL_AGENT),
        status.get("drain"),
    )


def _emptied(old: Object | None, new: Object | None) -> bool:
    """Whether somebody emptied a status, as restoring a backup does: it is written anew."""
    if old is None or new is None:
        return False
    return bool((old.get("status") or {}).get("conditions")) and not (new.get("status") or {}).get("conditions")


def _for_connectors(agent: Object | None) -> object:
    """What a connector's state depends on in an Agent."""
    if agent is None:
        return None
    status = agent.get("status") or {}
    stalled: Object = next((it for it in status.get("conditions") or () if it["type"] == "Stalled"), {})
    return (
        agent["metadata"].get("uid"),
        agent["metadata"].get("generation"),
        agent["metadata"].get("deletionTimestamp"),
        live := status.get("liveRevision"),
        # Whether its route knows of a connector matters once there is something that it leads to.
        [(it["name"], it["status"] == "ConnectorMissing") for it in status.get("connectors") or () if live],
        # While it waits for an Agent that is stalled, a connector repeats what that says.
        (stalled.get("reason"), stalled.get("message")),
    )


def _for_agents(connector: Object | None) -> object:
    """What an Agent's state depends on in a connector."""
    if connector is None:
        return None
    spec, status = connector.get("spec") or {}, connector.get("status") or {}
    conditions = [
        (it["type"], it["status"], it["reason"], it.get("message"))
        for it in status.get("conditions") or ()
        if it["type"] in ("Ready", "Stalled")
    ]
    metadata = connector["metadata"]
    return (
        metadata.get("uid"),
        metadata.get("deletionTimestamp"),
        status.get("agent"),
        conditions,
        spec.get("publicURL"),
        spec.get("credentials"),
    )


def _for_route(connector: Object, agent: Key) -> object:
    """What an Agent's route and its pods' credentials depend on in a connector."""
    spec, metadata = connector.get("spec") or {}, connector["metadata"]
    mine = (connector.get("status") or {}).get("agent") in (None, agent.name)
    deleted = metadata.get("deletionTimestamp")
    return metadata.get("uid"), deleted, mine, spec.get("publicURL"), spec.get("credentials")


def _progress(deployment: Object | None) -> object:
    """What an Agent's state depends on in the status of its Deployment."""
    if deployment is None:
        return None
    status = deployment.get("status") or {}
    return (
        status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0),
        status.get("readyReplicas", 0),
        [(it["type"], it["status"], it.get("reason"), it.get("message")) for it in status.get("conditions") or ()],
    )


def _mentions(value: object, name: str) -> bool:
    """Whether a manifest names a Secret anywhere."""
    if isinstance(value, dict):
        return any(
            (isinstance(entry, dict) and key.endswith("ecretRef") and entry.get("name") == name)
            or _mentions(entry, name)
            for key, entry in value.items()
        )
    return isinstance(value, list) and any(_mentions(entry, name) for entry in value)
