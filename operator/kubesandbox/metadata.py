"""`metadata`: what the server fills in, what it keeps from before, and what it refuses."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from kubesandbox import names
from kubesandbox.objects import Json, Object
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause

ANNOTATIONS_SIZE = 256 * 1024


def now() -> str:
    """The time as metadata has it: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def json_type(value: Json) -> str:
    """A JSON value's type in the words of Go's decoder."""
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def fill_new(metadata: Object, *, generation: bool) -> None:
    """What every new object gets: a uid, a time, generation 1 where its kind counts them."""
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion"):
        metadata.pop(key, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = now()
    if generation:
        metadata["generation"] = 1
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = names.generated(metadata["generateName"])


def keep_old(metadata: Object, old: Mapping[str, Json]) -> None:
    """What a write to an existing object may leave out, and its generation, which it cannot change."""
    metadata.setdefault("uid", old["uid"])
    metadata["creationTimestamp"] = old.get("creationTimestamp")  # changes to it are ignored
    if "generation" in old:
        metadata["generation"] = old["generation"]
    else:
        metadata.pop("generation", None)
    if "deletionTimestamp" in old:
        metadata["deletionTimestamp"] = old["deletionTimestamp"]
        if "deletionGracePeriodSeconds" in old:
            metadata["deletionGracePeriodSeconds"] = old["deletionGracePeriodSeconds"]
    if "generateName" in old:
        metadata.setdefault("generateName", old["generateName"])


def validate(metadata: Object, rule: names.NameRule, *, namespaced: bool) -> list[Cause]:
    """What is wrong with a new object's metadata."""
    found = validate_prefix(metadata, rule)
    name = metadata.get("name")
    if not name:
        found.append(causes.required("metadata.name", "name or generateName is required"))
    else:
        found += [causes.invalid("metadata.name", name, text) for text in rule(name)]
    if namespaced:
        found += [
            causes.invalid("metadata.namespace", metadata["namespace"], t) for t in names.label(metadata["namespace"])
        ]
    elif metadata.get("namespace"):
        found.append(causes.forbidden("metadata.namespace", "not allowed on this type"))
    return found + validate_common(metadata)


def validate_prefix(metadata: Object, rule: names.NameRule) -> list[Cause]:
    """What is wrong with `generateName`."""
    prefix = metadata.get("generateName")
    if not prefix:
        return []
    # A prefix may end in a dash, which the five characters then follow.
    masked = prefix[:-1] + "a" if prefix.endswith("-") else prefix
    return [causes.invalid("metadata.generateName", prefix, text) for text in rule(masked)]


def validate_common(metadata: Object) -> list[Cause]:
    """What is wrong with metadata, new or changed."""
    return _common(metadata) + _finalizers(metadata)


def _common(metadata: Object) -> list[Cause]:
    found = labels(metadata.get("labels"), "metadata.labels")
    found += annotation_causes(metadata.get("annotations"), "metadata.annotations")
    return found + _owners(metadata.get("ownerReferences") or [])


def _finalizers(metadata: Object) -> list[Cause]:
    found: list[Cause] = []
    finalizers = metadata.get("finalizers") or []
    for finalizer in finalizers:
        found += [causes.invalid("metadata.finalizers", finalizer, text) for text in names.label_key(finalizer)]
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        text = "finalizer orphan and foregroundDeletion cannot be both set"
        found.append(causes.invalid("metadata.finalizers", finalizers, text))
    return found


def labels(value: Mapping[str, str] | None, path: str) -> list[Cause]:
    """What is wrong with a map of labels."""
    found: list[Cause] = []
    for key, item in (value or {}).items():
        found += [causes.invalid(path, key, text) for text in names.label_key(key)]
        found += [causes.invalid(path, item, text) for text in names.label_value(item)]
    return found


def annotation_causes(value: Mapping[str, str] | None, path: str) -> list[Cause]:
    """What is wrong with a map of annotations."""
    found: list[Cause] = []
    for key in value or {}:
        found += [causes.invalid(path, key, text) for text in names.label_key(key.lower())]
    if sum(len(key.encode()) + len(item.encode()) for key, item in (value or {}).items()) > ANNOTATIONS_SIZE:
        found.append(causes.too_long(path, ANNOTATIONS_SIZE))
    return found


def _owners(owners: list[Object]) -> list[Cause]:
    """ValidateOwnerReferences (apimachinery pkg/api/validation/objectmeta.go), which tells no index."""
    found: list[Cause] = []
    controller, path = "", "metadata.ownerReferences"
    for owner in owners:
        version = owner.get("apiVersion") or ""
        if not version or version.count("/") > 1 or version.endswith("/"):
            found.append(causes.invalid(f"{path}.apiVersion", version, "version must not be empty"))
        missing = [key for key in ("kind", "name", "uid") if not owner.get(key)]
        found += [causes.invalid(f"{path}.{key}", "", "must not be empty") for key in missing]
        if owner.get("apiVersion") == "v1" and owner.get("kind") == "Event":
            found.append(causes.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            this = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                text = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controller} and {this}"
                )
                found.append(causes.invalid(path, causes.go_struct([_owner(it) for it in owners]), text))
            else:
                controller = this
    return found


def _owner(owner: Object) -> Object:
    """An owner reference in the order of Go's fields."""
    fields = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
    return {key: owner.get(key, "") for key in fields[:4]} | {key: owner[key] for key in fields[4:] if key in owner}


_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def unqualified(finalizers: list[str] | None) -> list[Cause]:
    """Finalizers that built-in kinds do not take: without a domain, and none of Kubernetes' own."""
    text = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        causes.invalid(f"metadata.finalizers[{index}]", name, text)
        for index, name in enumerate(finalizers or ())
        if "/" not in name and name not in _STANDARD_FINALIZERS
    ]


def dedup_owners(metadata: Object) -> str | None:
    """Drop owners that are given twice; gives the warning that kube-apiserver then sends."""
    owners = metadata.get("ownerReferences") or []
    kept: list[Object] = []
    again: list[str] = []
    for owner in owners:
        if owner in kept:
            again.append(owner.get("uid", ""))
        else:
            kept.append(owner)
    if not again:
        return None
    metadata["ownerReferences"] = kept
    return (
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may "
        "reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
        + ", ".join(again)
    )


IMMUTABLE = "field is immutable"
_IMMUTABLE = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")


def validate_update(metadata: Object, old: Mapping[str, Json]) -> list[Cause]:
    """What is wrong with an existing object's new metadata."""
    found: list[Cause] = []
    if old.get("deletionTimestamp"):
        before = old.get("finalizers") or []
        extra = sorted(set(metadata.get("finalizers") or []) - set(before))
        if extra:
            shown = "[]string{" + ", ".join(f'"{name}"' for name in extra) + "}"
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {shown}"
            found.append(causes.forbidden("metadata.finalizers", text))
    found += [
        causes.invalid(f"metadata.{key}", metadata.get(key), IMMUTABLE)
        for key in _IMMUTABLE
        if metadata.get(key) != old.get(key)
    ]
    return found + _common(metadata)


def later(seconds: int) -> str:
    """The time some seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
