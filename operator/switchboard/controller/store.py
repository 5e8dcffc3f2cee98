"""What is known of the cluster: the objects as last seen, and the models read from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import orjson
from pydantic import ValidationError

from switchboard.api.meta import LABEL_AGENT, Resource
from switchboard.kube.resources import (
    AGENT_REVISIONS,
    AGENTS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    HPAS,
    HTTP_ROUTES,
    INGRESSES,
    PDBS,
    PODS,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    SERVICES,
    TWILIO_CONNECTORS,
    Object,
    ResourceType,
)
from switchboard.reconcile.compare import ANNOTATION_APPLIED
from switchboard.reconcile.facts import AgentFacts, ConnectorFacts, agent_facts, connector_facts
from switchboard.reconcile.owners import controller

M = TypeVar("M", bound=Resource)

MODELS_KEPT = 256
"""A model takes twice the memory of its object, and is made in a twentieth of a millisecond."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Where `kubectl apply` keeps the whole manifest once more."""

MADE: tuple[ResourceType, ...] = (
    CONFIG_MAPS,
    SERVICE_ACCOUNTS,
    ROLE_BINDINGS,
    DEPLOYMENTS,
    PDBS,
    HPAS,
    SERVICES,
    INGRESSES,
    HTTP_ROUTES,
)
"""What we make, and apply again when it is no longer as we made it."""
READ: Mapping[str, tuple[str, ...]] = {DEPLOYMENTS.plural: ("replicas",), SERVICES.plural: ("selector",)}
"""What is read of their specs besides."""
ROLLOUT = "deployment.kubernetes.io/revision"
PART = "_part"
"""On a stored object: a digest of what it says."""
SETTLED = "_settled"
"""On a stored object: it is as wanted, and only that digest is left of what it says."""


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
        if LAST_APPLIED in (metadata.get("annotations") or ()):
            metadata["annotations"] = {key: it for key, it in metadata["annotations"].items() if key != LAST_APPLIED}
        if resource is PODS:
            obj.pop("spec", None)
        if resource in MADE:
            obj[PART] = _part(obj)
        names = self._objects.setdefault(resource.plural, {}).setdefault(metadata.get("namespace", ""), {})
        old = names.get(metadata["name"])
        if (
            old is not None
            and old["metadata"].get("uid") == metadata.get("uid")
            and not _newer(metadata, old["metadata"])
        ):
            return old, False
        if old is not None and old.get(SETTLED) and old[PART] == obj.get(PART):
            _settle(resource, obj)
        names[metadata["name"]] = obj
        self._index(resource, old, obj)
        return old, True

    def settle(self, resource: ResourceType, namespace: str, name: str, version: str) -> None:
        """Notes that an object that we made is as wanted in this version: of what it says, only a digest is kept.

        Whole, what we make for three hundred Agents takes more memory than the operator itself.
        """
        known = self.get(resource, namespace, name)
        if known is not None and str(known["metadata"].get("resourceVersion")) == version and not known.get(SETTLED):
            _settle(resource, known)

    def settled(self, resource: ResourceType, namespace: str, name: str) -> str | None:
        """The digest of what an object of ours was wanted to be, as long as it is that; else None."""
        known = self.get(resource, namespace, name)
        if known is None or not known.get(SETTLED):
            return None
        digest = (known["metadata"].get("annotations") or {}).get(ANNOTATION_APPLIED)
        return str(digest) if digest is not None else None

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

    def knows(self, resource: ResourceType, obj: Object) -> bool:
        """Whether this very version of an object is the one that is known. May be asked from another thread."""
        metadata = obj["metadata"]
        known = self.get(resource, metadata.get("namespace", ""), metadata["name"])
        return known is not None and _version(known["metadata"]) == _version(metadata)

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
        """The AgentRevisions that an object controls."""
        return list(self._groups.get((resource.plural, namespace, uid), {}).values())

    def model(self, kind: type[M], resource: ResourceType, namespace: str, name: str) -> M | None:
        """An object of ours as its model; None if there is none, or it cannot be read by this version."""
        obj = self.get(resource, namespace, name)
        return None if obj is None else self.read(kind, resource, obj)

    def connector(self, namespace: str, name: str) -> ConnectorFacts | None:
        """What an Agent reads of a connector; None if there is none, it goes, or it cannot be read by this version."""
        obj = self.get(TWILIO_CONNECTORS, namespace, name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return None
        try:
            return connector_facts(obj)
        except (KeyError, TypeError, AttributeError):
            return None

    def agent(self, namespace: str, name: str) -> AgentFacts | None:
        """What a connector reads of an Agent; None if there is none, it goes, or it cannot be read by this version."""
        obj = self.get(AGENTS, namespace, name)
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            return None
        live = (obj.get("status") or {}).get("liveRevision")
        try:
            return agent_facts(obj, self.get(AGENT_REVISIONS, namespace, live) if live else None)
        except (KeyError, TypeError, AttributeError):
            return None

    def read(self, kind: type[M], resource: ResourceType, obj: Object) -> M | None:
        """The model of an object of ours, read once for each of its versions while it is among the last that were."""
        metadata = obj["metadata"]
        key, version = (resource.plural, metadata.get("namespace", ""), metadata["name"]), _version(metadata)
        known = self._models.pop(key, None)
        if known is None or known[0] != version:
            try:
                read: Resource | None = kind.model_validate(obj)
            except ValidationError:
                read = None
            known = (version, read)
            if len(self._models) >= MODELS_KEPT:
                del self._models[next(iter(self._models))]
        self._models[key] = known
        return known[1] if isinstance(known[1], kind) else None


def part(obj: Object | None) -> object:
    """A digest of all of an object but what changes by itself: its status, its version."""
    return None if obj is None else obj[PART] if PART in obj else _part(obj)


def _part(obj: Object) -> bytes:
    rest = {key: value for key, value in obj.items() if key not in ("metadata", "status", PART, SETTLED)}
    metadata = obj["metadata"]
    kept = ("uid", "labels", "ownerReferences", "deletionTimestamp")
    # The deployment controller counts its own revisions in an annotation.
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != ROLLOUT}
    told = [rest, annotations, [metadata.get(key) for key in kept]]
    return hashlib.blake2b(orjson.dumps(told, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _settle(resource: ResourceType, obj: Object) -> None:
    """Leaves of an object what is still read of it."""
    spec = obj.get("spec") or {}
    for key in obj.keys() - {"apiVersion", "kind", "metadata", "status", PART}:
        del obj[key]
    if read := {key: spec[key] for key in READ.get(resource.plural, ()) if key in spec}:
        obj["spec"] = read
    obj[SETTLED] = True


def _groups(resource: ResourceType, obj: Object | None) -> set[str]:
    """What an object is looked up by, besides its name: going through all of them would cost more for each one more."""
    if obj is None:
        return set()
    metadata = obj["metadata"]
    if resource is PODS or resource is DEPLOYMENTS:
        return {label} if (label := (metadata.get("labels") or {}).get(LABEL_AGENT)) else set()
    if resource is AGENT_REVISIONS:
        return {owner["uid"]} if (owner := controller(obj)) is not None else set()
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
