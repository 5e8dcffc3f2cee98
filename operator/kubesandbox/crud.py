"""The verbs on stored objects: what k8s.io/apiserver's generic registry does between HTTP and etcd."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubesandbox import errors, managers, metadata
from kubesandbox.decoding import check_addressed, check_namespace
from kubesandbox.errors import StatusError
from kubesandbox.names import generated
from kubesandbox.objects import Object, clone, same
from kubesandbox.patch.tracking import settle_times
from kubesandbox.schema import causes
from kubesandbox.store import Version

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request, Strategy

GENERATED_NAME_TRIES = 8


@dataclass
class Outcome:
    """What a write came to: the object as it is now, and whether it was made or is gone."""

    version: Version
    created: bool = False
    gone: bool = False
    warnings: list[str] = field(default_factory=list)


def get(kind: Kind, request: Request, name: str) -> Version:
    """The current version of an object, or 404."""
    version = request.cluster.store.table(*kind.table_key).get(request.namespace, name)
    if version is None:
        raise errors.not_found(kind.group, kind.plural, name)
    return version


def view(kind: Kind, version: Version) -> Object:
    """An object in the version that `kind` serves; not to be changed."""
    return kind.convert(version.object) if kind.convert else version.object


def create(kind: Kind, obj: Object, request: Request, *, applied: bool = False) -> Outcome:
    """Store a new object that `receive` has let in."""
    strategy, meta = kind.strategy, obj["metadata"]
    check_namespace(kind, meta, request)
    has_revision = meta.get("resourceVersion", "0") != "0"
    if applied and meta.get("uid"):
        why = f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
        raise errors.conflict(kind.group, kind.plural, meta.get("name", ""), why)
    meta.pop("uid", None)
    metadata.fill_new(meta, generation=strategy.counts_generations)
    strategy.default(obj)
    if not applied:  # before admission and allocation: what the server adds is nobody's
        managers.track(kind, None, obj, request)
    request.cluster.admission.mutate_create(kind, obj, request)
    for key in strategy.resets:
        obj.pop(key, None)
    strategy.prepare_create(obj, request)
    found = metadata.validate(meta, strategy.name_rule, namespaced=kind.namespaced)
    if "core" in {strategy.checks_change, strategy.checks_whole}:
        found += metadata.unqualified(meta.get("finalizers"))
    found = strategy.validate_with(found, obj, request)
    if found:
        raise errors.invalid(kind.group, kind.kind, meta.get("name", ""), found)
    strategy.allocate(obj, None, request)
    request.cluster.admission.validate(kind, "CREATE", obj, None, request)
    if has_revision and not applied:  # found out by the storage layer, whose errors have no reason
        raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
    table = request.cluster.store.table(*kind.table_key)
    tries = 1
    while table.get(meta.get("namespace", ""), meta["name"]) is not None:
        if "generateName" not in meta or tries >= GENERATED_NAME_TRIES:
            taken = errors.already_exists(kind.group, kind.plural, meta["name"])
            there = table.get(meta.get("namespace", ""), meta["name"])
            if there is not None and there.object["metadata"].get("deletionTimestamp"):
                taken.message = f"object is being deleted: {taken.message}"
            raise taken
        meta["name"] = generated(meta["generateName"])
        tries += 1
    if request.dry_run:
        return Outcome(Version(obj, 0), created=True)
    stored = kind.restore(obj) if kind.restore else obj
    version = table.put(stored)
    strategy.created(stored, request)
    return Outcome(version, created=True)


def update(kind: Kind, name: str, obj: Object, request: Request, *, applied: bool = False) -> Outcome:
    """Put `obj` in the place of what is stored; `applied` where managedFields are settled already."""
    table = request.cluster.store.table(*kind.table_key)
    current = table.get(request.namespace, name)
    meta = obj["metadata"]
    check_addressed(kind, name, meta, request)
    strategy = kind.strategy
    if current is None:
        if strategy.creates_on_update and not request.subresource and not meta.get("resourceVersion"):
            return create(kind, obj, request)
        raise errors.not_found(kind.group, kind.plural, name)
    old = view(kind, current)
    _check_preconditions(kind, name, meta, old, request)
    metadata.keep_old(meta, old["metadata"])
    meta["resourceVersion"] = old["metadata"]["resourceVersion"]
    if "managedFields" not in meta and "managedFields" in old["metadata"] and not applied:
        meta["managedFields"] = old["metadata"]["managedFields"]
    obj = _settle(kind, obj, old, request)
    meta = obj["metadata"]
    if not request.subresource:
        kind.strategy.allocate(obj, old, request)
    request.cluster.admission.validate(kind, "UPDATE", obj, old, request)
    if _same(obj, old):
        return Outcome(current)
    if not applied:
        managers.track(kind, old, obj, request)
    settle_times(old, obj)
    if same(obj, old):
        return Outcome(current)
    if request.dry_run:
        return Outcome(Version(obj, current.revision))
    return store_update(kind, obj, old, request)


def _settle(kind: Kind, obj: Object, old: Object, request: Request) -> Object:
    """The object that will be stored: spec from one and status from the other, checked."""
    strategy, meta = kind.strategy, obj["metadata"]
    if request.subresource == "status":
        obj = {
            **old,
            "metadata": _status_metadata(meta, old["metadata"], strategy.status_keeps),
            "status": obj.get("status"),
        }
        if obj["status"] is None:
            del obj["status"]
        obj = clone(obj)
        strategy.default(obj)
        found = _of_metadata(obj["metadata"], old["metadata"], strategy)
        found = strategy.validate_status_with(found, obj, old, request)
    else:
        strategy.default(obj)
        if strategy.has_status:
            for key in strategy.resets:
                obj.pop(key, None)
                if key in old:
                    obj[key] = clone(old[key])
        strategy.prepare_update(obj, old, request)
        if strategy.counts_generations and strategy.spec_changed(obj, old):
            meta["generation"] = old["metadata"].get("generation", 0) + 1
        found = _of_metadata(meta, old["metadata"], strategy)
        if strategy.checks_whole:
            found += metadata.validate_prefix(meta, strategy.name_rule) + metadata.validate_common(meta)
        if strategy.checks_whole == "core":
            found += metadata.unqualified(meta.get("finalizers"))
        found = strategy.validate_update_with(found, obj, old, request)
    if found:
        raise errors.invalid(kind.group, kind.kind, obj["metadata"]["name"], found)
    return obj


def _of_metadata(meta: Object, old: Object, strategy: Strategy) -> list[causes.Cause]:
    """What is wrong with changed metadata, as often as it is found: rest.BeforeUpdate looks twice, and the kind."""
    found = metadata.validate_update(meta, old)
    if strategy.checks_change:
        found = [*found, *found]
    if strategy.checks_change == "core":
        found += metadata.unqualified(meta.get("finalizers"))
    return found + metadata.validate_common(meta)


_META = ("labels", "annotations", "finalizers", "ownerReferences")


def _status_metadata(meta: Object, old: Object, keeps: tuple[str, ...]) -> Object:
    """What a write to /status makes of metadata: `keeps` stay as they are."""
    kept = {key: value for key, value in old.items() if key not in _META and key != "managedFields"}
    for key in (*_META, "managedFields"):
        source = old if key in keeps else meta
        if key in source:
            kept[key] = source[key]
    return kept


def _check_preconditions(kind: Kind, name: str, meta: Object, old: Object, request: Request) -> None:
    uid, current_uid = meta.get("uid"), old["metadata"]["uid"]
    if uid and uid != current_uid and not request.patching:
        raise errors.conflict(
            kind.group,
            kind.plural,
            name,
            f"StorageError: invalid object, Code: 4, Key: {_key(kind, name, old)}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {current_uid}",
        )
    revision = meta.get("resourceVersion")
    if not revision or revision == "0":
        if not kind.strategy.unconditional_update:
            raise errors.invalid(  # of the resource, not of the kind (registry's Store.Update)
                kind.group,
                kind.plural,
                name,
                [causes.invalid("metadata.resourceVersion", 0, "must be specified for an update")],
            )
    elif not revision.isdigit():
        raise StatusError(500, "", f'strconv.ParseUint: parsing "{revision}": invalid syntax')
    elif revision != old["metadata"]["resourceVersion"]:
        raise errors.conflict(kind.group, kind.plural, name, errors.MODIFIED)


def _key(kind: Kind, name: str, obj: Object) -> str:
    """The key that etcd would have for an object: errors of the storage layer show it."""
    group = f"{kind.group}/" if kind.strategy.custom else ""
    namespace = f"{obj['metadata']['namespace']}/" if kind.namespaced else ""
    return f"/registry/{group}{kind.plural}/{namespace}{name}"


def _same(obj: Object, old: Object) -> bool:
    """Whether a write changes nothing; who manages what is then left as it was, too."""
    if not all(same(obj.get(key), old.get(key)) for key in obj.keys() | old.keys() if key != "metadata"):
        return False
    meta, before = obj["metadata"], old["metadata"]
    ignored = {"managedFields"} if _same_owners(meta, before) else set()
    return all(meta.get(key) == before.get(key) for key in (meta.keys() | before.keys()) - ignored)


def _same_owners(meta: Object, before: Object) -> bool:
    def owners(of: Object) -> list[Object]:
        return [{k: v for k, v in entry.items() if k != "time"} for entry in of.get("managedFields") or ()]

    return owners(meta) == owners(before)


def store_update(kind: Kind, obj: Object, old: Object, request: Request) -> Outcome:
    """Store a settled change; what was only held by the finalizers that it removes goes."""
    table = request.cluster.store.table(*kind.table_key)
    meta = obj["metadata"]
    if kind.restore:
        obj = kind.restore(obj)
    over = meta.get("deletionTimestamp") and not meta.get("finalizers") and not meta.get("deletionGracePeriodSeconds")
    if over and not kind.strategy.begin_delete(obj, 0, request):
        # The change itself is not stored: watchers see one deletion, of the object as it was (Store.deleteForUpdate).
        remove(kind, old if kind.restore is None else kind.restore(old), request)
        return Outcome(Version(obj, int(old["metadata"]["resourceVersion"])), gone=True)
    version = table.put(obj)
    kind.strategy.updated(obj, old, request)
    return Outcome(version)


def remove(kind: Kind, obj: Object, request: Request) -> Version:
    """Drop an object that nothing holds any more."""
    meta = obj["metadata"]
    version = request.cluster.store.table(*kind.table_key).remove(meta.get("namespace", ""), meta["name"])
    kind.strategy.deleted(obj, request)
    return version
