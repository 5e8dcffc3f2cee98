"""Deleting a definition deletes its objects first, and ends with it being served no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesandbox import crud, deletion
from kubesandbox.custom.definitions import CLEANUP, GROUP, PLURAL
from kubesandbox.errors import StatusError
from kubesandbox.metadata import now
from kubesandbox.objects import Object, clone
from kubesandbox.store import Event, name_of, namespace_of
from kubesandbox.tasks import Soon

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster
    from kubesandbox.kinds import Kind


class DefinitionCleanup:
    """apiextensions-apiserver's finalizing controller."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._table = cluster.store.table(GROUP, PLURAL)
        self._soon: Soon[str] = Soon(self._sync)
        cluster.store.listeners.append(self._notice)

    def _notice(self, key: tuple[str, str], event: Event) -> None:
        if key == (GROUP, PLURAL):
            meta = event.version.object["metadata"]
            if event.type == "DELETED":
                self._gone(event.version.object)
            elif meta.get("deletionTimestamp") and CLEANUP in (meta.get("finalizers") or ()):
                self._soon.add(meta["name"])
        elif event.type == "DELETED":
            name = f"{key[1]}.{key[0]}"
            if self._table.get("", name):
                self._soon.add(name)

    def _sync(self, name: str) -> None:
        version = self._table.get("", name)
        if version is None or not version.object["metadata"].get("deletionTimestamp"):
            return
        spec = version.object["spec"]
        key = (spec["group"], spec["names"]["plural"])
        kind = self._cluster.kinds.any_version(*key)
        objects = self._cluster.store.table(*key)
        if kind is not None:
            for item in list(objects.scan()):
                if not item.object["metadata"].get("deletionTimestamp"):
                    self._delete(kind, item.object)
        obj = clone(version.object)
        if objects.items:
            if _terminating(obj):
                self._table.put(obj)
            return
        finalizers = [f for f in obj["metadata"].get("finalizers") or () if f != CLEANUP]
        if finalizers:
            obj["metadata"]["finalizers"] = finalizers
        else:
            obj["metadata"].pop("finalizers", None)
        definitions = self._cluster.kinds.get(GROUP, "v1", PLURAL)
        crud.store_update(definitions, obj, version.object, self._cluster.request())

    def _delete(self, kind: Kind, obj: Object) -> None:
        try:
            deletion.delete(kind, name_of(obj), deletion.DeleteOptions(), self._cluster.request(namespace_of(obj)))
        except StatusError as error:
            if error.code != 404:
                raise

    def _gone(self, definition: Object) -> None:
        spec = definition["spec"]
        self._cluster.kinds.remove(spec["group"], spec["names"]["plural"])
        self._cluster.store.drop(spec["group"], spec["names"]["plural"])


def _terminating(obj: Object) -> bool:
    """Say that objects are being deleted; whether that is news."""
    conditions = obj["status"].get("conditions") or []
    if any(c["reason"] == "InstanceDeletionInProgress" for c in conditions):
        return False
    conditions = [c for c in conditions if c["type"] != "Terminating"]
    conditions.append(
        {
            "type": "Terminating",
            "status": "True",
            "lastTransitionTime": now(),
            "reason": "InstanceDeletionInProgress",
            "message": "CustomResource deletion is in progress",
        }
    )
    obj["status"]["conditions"] = conditions
    return True
