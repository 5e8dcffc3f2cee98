"""Writes to the cluster: only what differs, only what is ours."""

from __future__ import annotations

import logging
import secrets as random_names
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from switchboard.api.meta import FIELD_MANAGER
from switchboard.controller import metrics
from switchboard.controller.store import Store
from switchboard.kube import events
from switchboard.kube.client import KubeApi
from switchboard.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound, Unavailable
from switchboard.kube.resources import EVENTS, ROLE_BINDINGS, Object, ResourceType
from switchboard.reconcile.compare import ANNOTATION_APPLIED, as_wanted, stamped
from switchboard.reconcile.conditions import timestamp
from switchboard.reconcile.outcome import Event
from switchboard.reconcile.owners import controller, is_of, whose

log = logging.getLogger(__name__)


class NotOurs(Exception):
    """An object of the wanted name belongs to somebody else; the message names both."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing
        """Whether it is what an owner of the same name left, which the garbage collector is about to take."""


class Applier:
    """The operator's only way to write to the Kubernetes API."""

    def __init__(self, api: KubeApi, store: Store, *, instance: str) -> None:
        self._api = api
        self._store = store
        self._instance = instance
        self.wrote: Callable[[ResourceType, Object | None, Object | None], None] = lambda _resource, _old, _new: None
        """Told of each object that was read or written and says more than was known of it, and of each that was
        deleted: their events are no news any more."""

    async def ensure(self, resource: ResourceType, wanted: Object) -> bool:
        """Applies an object if it is not yet as wanted; whether it was written.

        Raises:
            NotOurs: an object of this name exists and is not controlled by the owner that `wanted` names.
            KubeError: the API server's.
        """
        metadata = wanted["metadata"]
        obj = stamped(wanted)
        observed = self._store.get(resource, metadata["namespace"], metadata["name"])
        if observed is None:
            try:
                observed = await self._api.get(resource, metadata["name"], metadata["namespace"])
            except NotFound:
                observed = None
            else:
                self._learn(resource, observed)
        if observed is not None:
            check_owner(wanted, observed)
            settled = self._store.settled(resource, metadata["namespace"], metadata["name"])
            if settled is not None and settled == obj["metadata"]["annotations"][ANNOTATION_APPLIED]:
                return False
            if settled is None and as_wanted(obj, observed):
                self._settle(resource, observed)
                return False
        # What the API server made of it counts as wanted, whatever admission changed: it is not fought over.
        self._settle(resource, await self._apply(resource, obj, observed))
        return True

    def _settle(self, resource: ResourceType, obj: Object) -> None:
        metadata = obj["metadata"]
        self._store.settle(resource, metadata["namespace"], metadata["name"], str(metadata.get("resourceVersion")))

    async def _apply(self, resource: ResourceType, obj: Object, observed: Object | None) -> Object:
        name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
        uid = observed["metadata"]["uid"] if observed is not None else None
        try:
            applied = await apply(self._api, resource, obj, uid)
        except (Conflict, Invalid) as error:
            if uid is None:
                raise
            if not await self._is_there(resource, namespace, name, uid):
                self._store.remove(resource, namespace, name, uid)
                raise Conflict(f"The {resource.kind} {name} is another one by now") from error
            if resource is not ROLE_BINDINGS or isinstance(error, Conflict):
                raise
            # roleRef cannot be changed: the binding is made anew.
            await self._api.delete(resource, name, namespace, uid=uid)
            applied = await apply(self._api, resource, obj, None)
        metrics.WRITES.labels("apply", resource.plural).inc()
        self._learn(resource, applied, written=True)
        return applied

    def _learn(self, resource: ResourceType, obj: Object, *, written: bool = False) -> None:
        """Takes in what the API server answers. What it says besides what we wrote, its event does not tell again."""
        old, news = self._store.put(resource, obj)
        only_ours = written and (old is None or old.get("status") == obj.get("status"))
        if news and not only_ours:
            self.wrote(resource, old, obj)

    async def create(self, resource: ResourceType, obj: Object) -> Object:
        """Creates an object. Raises AlreadyExists."""
        created = await self._api.create(resource, obj)
        metrics.WRITES.labels("create", resource.plural).inc()
        self._store.put(resource, created)
        return created

    async def remove(
        self, resource: ResourceType, namespace: str, name: str, *, owner: str, if_unchanged: bool = False
    ) -> bool:
        """Deletes an object that `owner` (a uid) controls, if it is known to be there: that very one, or that very
        version of it.

        Raises:
            KubeError: it is still there, and what is known of it is up to date now; or nobody can say.
        """
        known = self._store.get(resource, namespace, name)
        if known is None or not is_of(owner, known):
            return False
        uid = known["metadata"]["uid"]
        version = str(known["metadata"]["resourceVersion"]) if if_unchanged else None
        try:
            await self._api.delete(resource, name, namespace, uid=uid, resource_version=version)
            metrics.WRITES.labels("delete", resource.plural).inc()
        except NotFound:
            pass
        except (Conflict, Unavailable):  # Unavailable: it may have been deleted, and only the answer was lost
            if await self._is_there(resource, namespace, name, uid):
                raise
        self._store.remove(resource, namespace, name, uid)
        self.wrote(resource, known, None)
        return True

    async def _is_there(self, resource: ResourceType, namespace: str, name: str, uid: str) -> bool:
        """Whether that very object is there; what is, is known then."""
        try:
            found = await self._api.get(resource, name, namespace)
        except NotFound:
            return False
        self._learn(resource, found)
        return bool(found["metadata"]["uid"] == uid)

    async def status(self, resource: ResourceType, observed: Object, wanted: Mapping[str, object]) -> bool:
        """Writes the fields of a status that differ; None removes one. Whether anything was written."""
        current = observed.get("status") or {}
        patch = {key: value for key, value in wanted.items() if current.get(key) != value}
        if not patch:
            return False
        metadata = observed["metadata"]
        try:
            written = await self._api.merge_patch(
                resource,
                metadata["name"],
                metadata["namespace"],
                {"status": patch},
                subresource="status",
                manager=FIELD_MANAGER,
            )
        except NotFound:
            self._store.remove(resource, metadata["namespace"], metadata["name"], metadata.get("uid"))
            return False
        metrics.WRITES.labels("status", resource.plural).inc()
        self._store.put(resource, written)
        self.wrote(resource, observed, written)
        return True

    async def finalizers(self, resource: ResourceType, observed: Object, wanted: Sequence[str]) -> None:
        """Sets an object's finalizers, if it is still the version that was looked at. Raises Conflict, NotFound."""
        metadata = observed["metadata"]
        patch = {"metadata": {"finalizers": list(wanted), "resourceVersion": metadata["resourceVersion"]}}
        written = await self._api.merge_patch(
            resource, metadata["name"], metadata["namespace"], patch, manager=FIELD_MANAGER
        )
        metrics.WRITES.labels("finalizers", resource.plural).inc()
        if not written["metadata"].get("deletionTimestamp") or written["metadata"].get("finalizers"):
            self._store.put(resource, written)
        else:
            self._store.remove(resource, metadata["namespace"], metadata["name"], metadata["uid"])

    async def tell(self, observed: Object, event: Event, now: datetime) -> None:
        """Posts an Event about an object. A cluster that does not take it is not worth a failure."""
        metadata = observed["metadata"]
        time = timestamp(now)
        obj: Object = {
            "metadata": {
                "name": f"{metadata['name'][:200].rstrip('-.')}.{random_names.token_hex(8)}",
                "namespace": metadata["namespace"],
            },
            "involvedObject": {
                "apiVersion": observed["apiVersion"],
                "kind": observed["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:1024],
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "reportingInstance": self._instance,
        }
        try:
            await events.post(self._api, obj)
            metrics.WRITES.labels("create", EVENTS.plural).inc()
        except Forbidden as error:
            level = logging.DEBUG if error.namespace_terminating else logging.WARNING
            log.log(level, "an Event was not taken", extra={"reason": event.reason, "error": str(error)})
        except KubeError as error:
            log.warning("an Event was not taken", extra={"reason": event.reason, "error": str(error)})


async def apply(api: KubeApi, resource: ResourceType, obj: Object, uid: str | None) -> Object:
    """Applies an object that was looked at: with a `uid`, only to that very one (else Conflict, or Invalid)."""
    metadata = {**obj["metadata"], "uid": uid} if uid is not None else obj["metadata"]
    return await api.apply(resource, {**obj, "metadata": metadata}, manager=FIELD_MANAGER)


def check_owner(wanted: Object, observed: Object) -> None:
    """Raises NotOurs if `observed` is not controlled by the controller that `wanted` names."""
    owner = controller(wanted)
    if owner is None or is_of(owner["uid"], observed):
        return
    kind, name, namespace = wanted["kind"], wanted["metadata"]["name"], wanted["metadata"]["namespace"]
    other = controller(observed)
    if other is not None and (other["kind"], other["name"]) == (owner["kind"], owner["name"]):
        before = f"{owner['kind']} {owner['name']}"
        raise NotOurs(f"The {kind} {name} of an earlier {before} is still being removed.", passing=True)
    raise NotOurs(
        f"The {kind} {name} exists in the namespace {namespace} and belongs to {whose(observed)}, not to the "
        f"{owner['kind']} {owner['name']}. Delete or rename it: what is not ours is not changed."
    )
