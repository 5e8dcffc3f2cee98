"""What is known of the cluster: the objects as last seen, and the models read from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from pydantic import ValidationError

from switchboard.api.agent import Agent, AgentRevision
from switchboard.api.connector import TwilioConnector
from switchboard.api.meta import LABEL_AGENT, Resource
from switchboard.kube.resources import (
    AGENT_REVISIONS,
    AGENTS,
    DEPLOYMENTS,
    PODS,
    TWILIO_CONNECTORS,
    Object,
    ResourceType,
)

MODELS: Mapping[str, type[Resource]] = {
    AGENTS.plural: Agent,
    AGENT_REVISIONS.plural: AgentRevision,
    TWILIO_CONNECTORS.plural: TwilioConnector,
}
M = TypeVar("M", bound=Resource)


class Store:
    """Objects by type, namespace and name. What was written is put in at once, so that no stale copy decides."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, dict[str, Object]]] = {}
        self._models: dict[tuple[str, str, str], tuple[str, Resource | None]] = {}
        self._naming: dict[tuple[str, str], set[str]] = {}
        self._groups: dict[tuple[str, str, str], dict[str, Object]] = {}

    def put(self, resource: ResourceType, obj: Object) -> tuple[Object | None, bool]:
        """Takes in an object: what was known of it before, and whether this is news."""
        metadata = obj["metadata"]
        metadata.pop("managedFields", None)
        if resource is PODS:
            obj.pop("spec", None)
        names = self._objects.setdefault(resource.plural, {}).setdefault(metadata.get("namespace", ""), {})
        old = names.get(metadata["name"])
        if (
            old is not None
            and old["metadata"].get("uid") == metadata.get("uid")
            and not _newer(metadata, old["metadata"])
        ):
            return old, False
        names[metadata["name"]] = obj
        self._index(resource, old, obj)
        return old, True

    def remove(self, resource: ResourceType, namespace: str, name: str, uid: str | None = None) -> Object | None:
        """Forgets an object; with `uid` only that very one."""
        names = self._objects.get(resource.plural, {}).get(namespace, {})
        known = names.get(name)
        if known is None or (uid is not None and known["metadata"].get("uid") != uid):
            return None
        self._models.pop((resource.plural, namespace, name), None)
        self._index(resource, known, None)
        return names.pop(name)

    def naming(self, namespace: str, connector: str) -> list[str]:
        """The Agents whose template or status names a connector, in order."""
        return sorted(self._naming.get((namespace, connector), ()))

    def _index(self, resource: ResourceType, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is None:
            return
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        if resource is AGENTS:
            self._index_naming(namespace, name, old, new)
        before, after = _groups(resource, old), _groups(resource, new)
        for group in before - after:
            members = self._groups.get((resource.plural, namespace, group), {})
            members.pop(name, None)
            if not members:
                self._groups.pop((resource.plural, namespace, group), None)
        for group in after:
            self._groups.setdefault((resource.plural, namespace, group), {})[name] = obj

    def _index_naming(self, namespace: str, agent: str, old: Object | None, new: Object | None) -> None:
        before, after = connectors_of(old), connectors_of(new)
        for name in before - after:
            agents = self._naming.get((namespace, name), set())
            agents.discard(agent)
            if not agents:
                self._naming.pop((namespace, name), None)
        for name in after - before:
            self._naming.setdefault((namespace, name), set()).add(agent)

    def replace(self, resource: ResourceType, namespace: str | None, items: Iterable[Object]) -> list[Object]:
        """Takes in a whole listing (of one namespace, or all); gives what is new, changed, or gone."""
        news: list[Object] = []
        present: set[tuple[str, str]] = set()
        for item in items:
            present.add((item["metadata"].get("namespace", ""), item["metadata"]["name"]))
            if self.put(resource, item)[1]:
                news.append(item)
        for known in list(self.all(resource, namespace)):
            metadata = known["metadata"]
            if (metadata.get("namespace", ""), metadata["name"]) not in present:
                self.remove(resource, metadata.get("namespace", ""), metadata["name"])
                news.append(known)
        return news

    def get(self, resource: ResourceType, namespace: str, name: str) -> Object | None:
        """An object as last seen."""
        return self._objects.get(resource.plural, {}).get(namespace, {}).get(name)

    def all(self, resource: ResourceType, namespace: str | None = None) -> Iterator[Object]:
        """All objects of a type, of one namespace or of all."""
        namespaces = self._objects.get(resource.plural, {})
        if namespace is not None:
            yield from namespaces.get(namespace, {}).values()
            return
        for names in namespaces.values():
            yield from names.values()

    def of_agent(self, resource: ResourceType, namespace: str, agent: str) -> list[Object]:
        """The Pods or Deployments that carry an Agent's label."""
        return list(self._groups.get((resource.plural, namespace, agent), {}).values())

    def owned_by(self, resource: ResourceType, namespace: str, uid: str) -> list[Object]:
        """The AgentRevisions that an object owns."""
        return list(self._groups.get((resource.plural, namespace, uid), {}).values())

    def model(self, kind: type[M], resource: ResourceType, namespace: str, name: str) -> M | None:
        """An object of ours as its model; None if there is none, or it cannot be read by this version."""
        obj = self.get(resource, namespace, name)
        return None if obj is None else self.read(kind, resource, obj)

    def read(self, kind: type[M], resource: ResourceType, obj: Object) -> M | None:
        """The model of an object of ours, read once for each of its versions."""
        metadata = obj["metadata"]
        key, version = (resource.plural, metadata.get("namespace", ""), metadata["name"]), _version(metadata)
        known = self._models.get(key)
        if known is None or known[0] != version:
            try:
                read: Resource | None = kind.model_validate(obj)
            except ValidationError:
                read = None
            known = self._models[key] = (version, read)
        return known[1] if isinstance(known[1], kind) else None


def _groups(resource: ResourceType, obj: Object | None) -> set[str]:
    """What an object is looked up by, besides its name: going through all of them would cost more for each one more."""
    if obj is None:
        return set()
    metadata = obj["metadata"]
    if resource is PODS or resource is DEPLOYMENTS:
        return {label} if (label := (metadata.get("labels") or {}).get(LABEL_AGENT)) else set()
    if resource is AGENT_REVISIONS:
        return {owner["uid"] for owner in metadata.get("ownerReferences") or ()}
    return set()


def connectors_of(agent: Object | None) -> set[str]:
    """The connectors that an Agent names: its template's, and those in its status, which are its live revision's."""
    if agent is None:
        return set()
    template = (agent.get("spec") or {}).get("template") or {}
    names = {route["name"] for route in template.get("connectors") or ()}
    return names | {summary["name"] for summary in (agent.get("status") or {}).get("connectors") or ()}


def _version(metadata: Object) -> str:
    return f"{metadata.get('uid')}/{metadata.get('resourceVersion')}"


def _newer(new: Object, old: Object) -> bool:
    """Whether one version is later than another. They are numbers since Kubernetes 1.35, and were before in practice.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
    """
    ours, theirs = str(new.get("resourceVersion", "")), str(old.get("resourceVersion", ""))
    return int(ours) > int(theirs) if ours.isdigit() and theirs.isdigit() else ours != theirs
