"""The verbs on stored objects: what k8s.io/apiserver's generic registry does between HTTP and etcd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubesandbox import bodies, errors, managers, metadata, patch
from kubesandbox.errors import StatusError
from kubesandbox.names import generated
from kubesandbox.objects import Json, Object, clone, dig
from kubesandbox.schema import causes
from kubesandbox.store import Version

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request

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


def receive(kind: Kind, obj: Json, request: Request, repeated: Sequence[str] = ()) -> Object:
    """Check that a body is an object of this kind, drop what its type does not have, as `fieldValidation` asks."""
    if not isinstance(obj, dict):
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; "
            f"json parse error: json: cannot unmarshal {metadata.json_type(obj)} into Go value of type "
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
    _check_gvk(kind, obj, request)
    meta = obj.get("metadata")
    if meta is None:
        meta = obj["metadata"] = {}
    wrong = metadata.type_error(meta)
    if wrong:
        raise errors.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {wrong}')
    unknown = [*repeated, *metadata.normalise(meta), *kind.strategy.decode(obj, request)]
    doubled = metadata.dedup_owners(meta)
    if doubled:
        request.warnings.append(doubled)
    report_unknown(kind, unknown, request)
    return obj


def report_unknown(kind: Kind, unknown: list[str], request: Request) -> None:
    """Refuse, warn of, or ignore fields that the kind does not have, as `fieldValidation` asks."""
    said = [path if " " in path else f'unknown field "{path}"' for path in dict.fromkeys(unknown)]
    if not said or request.field_validation == "Ignore":
        return
    if request.field_validation == "Strict":
        raise errors.bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"strict decoding error: {', '.join(said)}"
        )
    request.warnings += said


def _check_gvk(kind: Kind, obj: Object, request: Request) -> None:
    api_version = obj.get("apiVersion") or kind.api_version
    found = obj.get("kind") or kind.kind
    if not isinstance(api_version, str) or not isinstance(found, str):
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; "
            "json parse error: apiVersion and kind must be strings"
        )
    if not kind.strategy.custom:
        _check_scheme(kind, api_version, found, request)
    elif request.patching and api_version != kind.api_version:
        wrong = causes.invalid("apiVersion", api_version, f"must be {kind.api_version}")
        raise errors.invalid(kind.group, kind.kind, obj["metadata"].get("name", ""), [wrong])
    elif api_version != kind.api_version:
        raise errors.bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version ({kind.api_version})"
        )
    elif found != kind.kind:
        wrong = causes.invalid("kind", found, f"must be {kind.kind}")
        name = obj["metadata"].get("name", "") if isinstance(obj.get("metadata"), dict) else ""
        raise errors.invalid(kind.group, found, name, [wrong])
    elif not obj.get("kind"):
        shown = request.text or causes.go_json(obj).encode()
        text = shown.decode(errors="replace")
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): "
            f"Object 'Kind' is missing in '{text}' ({bodies.summarised(shown)})"
        )
    elif not obj.get("apiVersion"):
        raise errors.bad_request(
            f"the API version in the data () does not match the expected API version ({kind.api_version})"
        )
    body = {key: value for key, value in obj.items() if key not in {"apiVersion", "kind"}}
    obj.clear()
    obj.update({"kind": kind.kind, "apiVersion": kind.api_version, **body})


_SCHEMES = {"apiextensions.k8s.io": "pkg/apiserver/apiserver.go:55"}
_SCHEME = "pkg/api/legacyscheme/scheme.go:30"


def _check_scheme(kind: Kind, api_version: str, found: str, request: Request) -> None:
    """Refuse an object of another kind in the scheme's words: one that it cannot convert, or does not know."""
    if (api_version, found) == (kind.api_version, kind.kind):
        return
    group, _, version = api_version.rpartition("/")
    known = any(
        (k.group, k.version, k.kind) == (group, version, found) and not k.strategy.custom for k in request.cluster.kinds
    )
    if known:
        package = kind.group.split(".")[0] or "core"
        why = f"converting ({version}.{found}) to ({package}.{kind.kind}): unknown conversion"
    else:
        scheme = _SCHEMES.get(kind.group, _SCHEME)
        why = f'no kind "{found}" is registered for version "{api_version}" in scheme "{scheme}"'
    raise errors.bad_request(f'{found} in version "{version}" cannot be handled as a {kind.kind}: {why}')


def _check_namespace(kind: Kind, meta: Object, request: Request) -> None:
    found = meta.get("namespace", "")
    if kind.namespaced:
        if found and found != request.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = request.namespace
    else:  # dropped, not refused (rest.EnsureObjectNamespaceMatchesRequestNamespace)
        meta.pop("namespace", None)


def check_applied(kind: Kind, name: str, config: Object, request: Request) -> None:
    """Refuse an apply configuration that is not of this object, or has fields that its kind does not have."""
    given, found = config.get("apiVersion") or "", config.get("kind") or ""
    if (given, found) != (kind.api_version, kind.kind):
        shown = given if "/" in given else f"/{given}"
        raise errors.bad_request(f"invalid object type: {shown}, Kind={found}")
    asked, request.field_validation = request.field_validation, "Ignore"  # typed merging finds unknown fields itself
    try:
        probe = _typed(kind, config, request)
    finally:
        request.field_validation = asked
    meta = probe["metadata"]
    meta.setdefault("name", name)
    _check_addressed(kind, name, meta, request)


def _typed(kind: Kind, config: Object, request: Request) -> Object:
    """An apply configuration as an object of the kind. What is not of its types is 500 on kube-apiserver, too."""
    try:
        return receive(kind, clone(config), request)
    except StatusError as error:
        if "cannot unmarshal" not in error.message:
            raise
        meta = config.get("metadata") if isinstance(config.get("metadata"), dict) else {}
        at = f"{dig(meta, 'namespace') or ''}/{dig(meta, 'name') or ''}"
        text = error.message.partition(": ")[2]
        about = f"{at}; {kind.group}/{kind.version}, Kind={kind.kind}"
        raise StatusError(500, "", f"failed to create typed patch object ({about}): {text}") from None


def create(kind: Kind, obj: Object, request: Request, *, applied: bool = False) -> Outcome:
    """Store a new object that `receive` has let in."""
    strategy, meta = kind.strategy, obj["metadata"]
    _check_namespace(kind, meta, request)
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
    if not strategy.custom:
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
    _check_addressed(kind, name, meta, request)
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
    patch.settle_times(old, obj)
    if obj == old:
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
        found = _of_metadata(obj["metadata"], old["metadata"])
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
        found = _of_metadata(meta, old["metadata"])
        if strategy.data:
            found += metadata.unqualified(meta.get("finalizers"))
        found = strategy.validate_update_with(found, obj, old, request)
    if found:
        raise errors.invalid(kind.group, kind.kind, obj["metadata"]["name"], found)
    return obj


def _of_metadata(meta: Object, old: Object) -> list[causes.Cause]:
    """What is wrong with changed metadata, twice: rest.BeforeUpdate finds it, and every kind's own validation again."""
    found = metadata.validate_update(meta, old)
    return [*found, *found, *metadata.validate_common(meta)]


_META = ("labels", "annotations", "finalizers", "ownerReferences")


def _status_metadata(meta: Object, old: Object, keeps: tuple[str, ...]) -> Object:
    """What a write to /status makes of metadata: `keeps` stay as they are."""
    kept = {key: value for key, value in old.items() if key not in _META and key != "managedFields"}
    for key in (*_META, "managedFields"):
        source = old if key in keeps else meta
        if key in source:
            kept[key] = source[key]
    return kept


def _check_addressed(kind: Kind, name: str, meta: Object, request: Request) -> None:
    found = meta.get("name", "")
    if not found:
        raise errors.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    if found != name:
        raise errors.bad_request(f"the name of the object ({found}) does not match the name on the URL ({name})")
    if kind.namespaced:
        namespace = meta.get("namespace", "")
        if namespace and namespace != request.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        meta["namespace"] = request.namespace


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
    if any(obj.get(key) != old.get(key) for key in obj.keys() | old.keys() if key != "metadata"):
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
