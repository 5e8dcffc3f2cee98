"""PersistentVolumeClaims: defaults, validation, and that one is not deleted while a pod uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubesandbox import crud, metadata, names
from kubesandbox.builtin.amounts import amount
from kubesandbox.builtin.label_selectors import validate_selector
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Json, Object, child, clone, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.store import Event, name_of, namespace_of
from kubesandbox.strategy import Request
from kubesandbox.tasks import Soon

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster

PROTECTION = "kubernetes.io/pvc-protection"
_KEY, _PODS = ("", "persistentvolumeclaims"), ("", "pods")
_MODES = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]
_VOLUME_MODES = ["Block", "Filesystem"]
_SNAPSHOT = ("snapshot.storage.k8s.io", "VolumeSnapshot")


class ClaimStrategy(BuiltinStrategy):
    """PersistentVolumeClaims."""

    checks_whole = "core"
    has_status = True
    returns_deleted = True

    def default(self, obj: Object) -> None:
        child(obj, "spec").setdefault("volumeMode", "Filesystem")

    def prepare_create(self, obj: Object, request: Request) -> None:
        obj["status"] = {"phase": "Pending"}
        _agree_on_source(obj["spec"])
        # The StorageObjectInUseProtection admission plugin.
        finalizers = obj["metadata"].setdefault("finalizers", [])
        if PROTECTION not in finalizers:
            finalizers.append(PROTECTION)

    def prepare_update(self, obj: Object, old: Object, request: Request) -> None:
        super().prepare_update(obj, old, request)
        if not old["spec"].keys() & {"dataSource", "dataSourceRef"}:
            _agree_on_source(obj["spec"])

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        return list(_spec(obj["spec"]))

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        """Of an unbound claim, its volume and its class are named once (ValidatePersistentVolumeClaimUpdate)."""
        found = self.validate(obj, request)
        new, was = clone(obj["spec"]), clone(old["spec"])
        for key in ("volumeName", "storageClassName"):
            if not was.get(key) and new.get(key):
                was[key] = new[key]
        if dig(obj, "status", "phase") == "Bound":
            was.pop("volumeAttributesClassName", None)
            new.pop("volumeAttributesClassName", None)
            child(new, "resources", "requests")["storage"] = dig(was, "resources", "requests", "storage")
        if new != was:
            text = (
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
                f"claims\n{_difference(was, new)}"
            )
            found.append(causes.forbidden("spec", text))
        if obj["spec"].get("volumeMode") != old["spec"].get("volumeMode"):
            found.append(causes.invalid("volumeMode", obj["spec"].get("volumeMode"), metadata.IMMUTABLE))
        return found


def _agree_on_source(spec: Object) -> None:
    """The old name of a claim's source and the new one say the same; what the old one may not name is dropped."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if reference is None and source is not None:
        named = (source.get("apiGroup") or "", source.get("kind"))
        if named in {("", "PersistentVolumeClaim"), _SNAPSHOT}:
            spec["dataSourceRef"] = dict(source)
        else:
            del spec["dataSource"]
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = {key: reference.get(key) for key in ("apiGroup", "kind", "name")}


def _spec(spec: Object) -> Iterator[Cause]:
    modes = spec.get("accessModes") or []
    if not modes:
        yield causes.required("spec.accessModes", "at least 1 access mode is required")
    yield from validate_selector(spec.get("selector") or {}, "spec.selector")
    yield from (causes.not_supported("spec.accessModes", mode, _MODES) for mode in modes if mode not in _MODES)
    if "ReadWriteOncePod" in modes and {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce"} & {*modes}:
        yield causes.forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes")
    storage = dig(spec, "resources", "requests", "storage")
    if storage is None:
        yield causes.required("spec.resources[storage]")
    elif amount(storage) <= 0:
        yield causes.invalid("spec.resources[storage]", str(storage), "must be greater than zero")
    for key in ("storageClassName", "volumeAttributesClassName"):
        name = spec.get(key)
        yield from (causes.invalid(f"spec.{key}", name, text) for text in (names.subdomain(name) if name else ()))
    if spec.get("volumeMode") not in _VOLUME_MODES:
        yield causes.not_supported("spec.volumeMode", spec.get("volumeMode"), _VOLUME_MODES)
    for key in ("dataSource", "dataSourceRef"):
        if spec.get(key) is not None:
            yield from _source(spec[key], f"spec.{key}")


def _source(source: Object, path: str) -> Iterator[Cause]:
    yield from (causes.required(f"{path}.{key}") for key in ("name", "kind") if not source.get(key))
    group, kind = source.get("apiGroup") or "", source.get("kind") or ""
    if not group and kind != "PersistentVolumeClaim":
        text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        yield causes.invalid(path, kind, text)
    if group:
        yield from (causes.invalid(f"{path}.apiGroup", group, text) for text in names.subdomain(group))


def _difference(old: Object, new: Object) -> str:
    """A unified diff of two specs as Go prints them."""
    import difflib  # not before a claim is refused: a start is to be quick

    before, after = (json.dumps(_go(it), indent=1).splitlines(keepends=True) for it in (old, new))
    return "".join([*difflib.unified_diff(before, after)][2:])


def _go(spec: Object) -> Json:
    """A claim's spec by the names that its fields have in Go."""
    resources = spec.get("resources") or {}
    source, reference = (_reference(spec.get(key)) for key in ("dataSource", "dataSourceRef"))
    if reference is not None:
        reference["Namespace"] = spec["dataSourceRef"].get("namespace")
    return {
        "AccessModes": spec.get("accessModes"),
        "Selector": spec.get("selector"),
        "Resources": {"Limits": resources.get("limits"), "Requests": resources.get("requests")},
        "VolumeName": spec.get("volumeName") or "",
        "StorageClassName": spec.get("storageClassName"),
        "VolumeMode": spec.get("volumeMode"),
        "DataSource": source,
        "DataSourceRef": reference,
        "VolumeAttributesClassName": spec.get("volumeAttributesClassName"),
    }


def _reference(value: Object | None) -> Object | None:
    if value is None:
        return None
    return {"APIGroup": value.get("apiGroup"), "Kind": value.get("kind") or "", "Name": value.get("name") or ""}


class ClaimProtection:
    """The controller that lets a deleted claim go once no pod uses it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._soon: Soon[tuple[str, str]] = Soon(self._sync)
        cluster.store.listeners.append(self._notice)

    def _notice(self, key: tuple[str, str], event: Event) -> None:
        obj = event.version.object
        if key == _KEY and event.type != "DELETED" and obj["metadata"].get("deletionTimestamp"):
            self._soon.add((namespace_of(obj), name_of(obj)))
        elif key == _PODS and not _uses(event):
            for name in _claims(obj):
                self._soon.add((namespace_of(obj), name))

    def _sync(self, key: tuple[str, str]) -> None:
        namespace, name = key
        version = self._cluster.store.table(*_KEY).get(namespace, name)
        if version is None or not version.object["metadata"].get("deletionTimestamp"):
            return
        if PROTECTION not in (version.object["metadata"].get("finalizers") or ()):
            return
        pods = self._cluster.store.table(*_PODS).scan(namespace)
        if any(name in _claims(pod.object) for pod in pods if not _ended(pod.object)):
            return
        obj = clone(version.object)
        obj["metadata"]["finalizers"].remove(PROTECTION)
        if not obj["metadata"]["finalizers"]:
            del obj["metadata"]["finalizers"]
        kind = self._cluster.kinds.get("", "v1", "persistentvolumeclaims")
        crud.store_update(kind, obj, version.object, self._cluster.request(namespace))


def _uses(event: Event) -> bool:
    return event.type != "DELETED" and not _ended(event.version.object)


def _ended(pod: Object) -> bool:
    return dig(pod, "status", "phase") in {"Succeeded", "Failed"}


def _claims(pod: Object) -> Iterator[str]:
    """The claims that a pod mounts."""
    for volume in dig(pod, "spec", "volumes") or ():
        if volume.get("persistentVolumeClaim") is not None:
            yield volume["persistentVolumeClaim"].get("claimName") or ""
        elif volume.get("ephemeral") is not None:
            yield f"{name_of(pod)}-{volume['name']}"
