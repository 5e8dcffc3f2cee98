"""CustomResourceDefinitions: their defaults and validation, and serving what they define once it is established."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubesandbox import errors, names
from kubesandbox.builtin import types
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.custom.nested import decode_below
from kubesandbox.custom.strategy import CustomStrategy
from kubesandbox.discovery import version_order
from kubesandbox.kinds import STANDARD_VERBS, STATUS, Kind, Subresource
from kubesandbox.metadata import now
from kubesandbox.objects import Object, clone, dig
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request, Strategy
from kubesandbox.tables import CREATED_AT, NAME, Columns

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster

GROUP = "apiextensions.k8s.io"
PLURAL = "customresourcedefinitions"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


class DefinitionStrategy(BuiltinStrategy):
    """CustomResourceDefinition itself."""

    checks_change = "plain"
    counts_generations = True
    unconditional_update = False
    has_status = True
    status_keeps = Strategy.status_keeps
    type_name = types.type_name(GROUP, "v1", "CustomResourceDefinition")

    def decode(self, obj: Object, request: Request) -> list[str]:
        unknown = super().decode(obj, request)
        try:
            for version in dig(obj, "spec", "versions") or ():
                decode_below(dig(version, "schema", "openAPIV3Schema"), "spec.versions.schema.openAPIV3Schema")
        except types.DecodeError as error:
            said = 'CustomResourceDefinition in version "v1" cannot be handled as a CustomResourceDefinition'
            raise errors.bad_request(f"{said}: {error}") from None
        return unknown

    def default(self, obj: Object) -> None:
        spec = obj.get("spec")
        if not isinstance(spec, dict):
            return
        found = spec.get("names")
        if isinstance(found, dict) and found.get("kind"):
            found.setdefault("singular", found["kind"].lower())
            found.setdefault("listKind", f"{found['kind']}List")
        spec.setdefault("conversion", {"strategy": "None"})
        status = obj.get("status")
        if isinstance(status, dict) and not status.get("storedVersions"):
            status["storedVersions"] = [it["name"] for it in spec.get("versions") or () if it.get("storage")]

    def prepare_create(self, obj: Object, request: Request) -> None:
        spec = obj.get("spec") or {}
        stored = [v["name"] for v in spec.get("versions") or () if isinstance(v, dict) and v.get("storage")][:1]
        obj["status"] = {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": stored,
        }

    def prepare_update(self, obj: Object, old: Object, request: Request) -> None:
        stored = [v["name"] for v in obj["spec"].get("versions") or () if v.get("storage")]
        for name in stored:
            known = obj["status"].setdefault("storedVersions", [])
            if name not in known:
                known.append(name)

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        from kubesandbox.custom.validation import validate_definition

        return validate_definition(obj)

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        from kubesandbox.custom.validation import validate_definition_update

        found = [cause for cause in self.validate(obj, request) if cause.field != "metadata.name"]
        return found + validate_definition_update(obj, old)

    def created(self, obj: Object, request: Request) -> None:
        establish(request.cluster, obj)

    def updated(self, obj: Object, old: Object, request: Request) -> None:
        if not obj["metadata"].get("deletionTimestamp") and obj.get("spec") != old.get("spec"):
            establish(request.cluster, obj)

    def begin_delete(self, obj: Object, grace: int | None, request: Request) -> bool:
        """Hold the definition until its objects are gone (pkg/registry/customresourcedefinition, REST.Delete)."""
        meta = obj["metadata"]
        if meta.get("deletionTimestamp"):
            return bool(meta.get("finalizers"))
        meta["deletionTimestamp"] = now()
        meta["finalizers"] = [*(meta.get("finalizers") or ()), CLEANUP]
        text = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
        status = obj["status"]
        status["conditions"] = [
            *(c for c in status.get("conditions") or () if c["type"] != "Terminating"),
            _condition("Terminating", True, "InstanceDeletionPending", text),
        ]
        return True

    def columns(self) -> Columns:
        return (NAME, CREATED_AT)


def establish(cluster: Cluster, obj: Object) -> None:
    """Accept the definition's names where they are free, serve its versions, and say so in its status."""
    accepted, taken = _accept(cluster, obj)
    conditions = [
        _condition("NamesAccepted", not taken, "NoConflicts", "no conflicts found", *taken),
        _condition(
            "Established",
            not taken,
            "InitialNamesAccepted",
            "the initial names have been accepted",
            *(("NotAccepted", "not all names are accepted") if taken else ()),
        ),
    ]
    status = {
        "conditions": _keep_times(conditions, (obj.get("status") or {}).get("conditions") or []),
        "acceptedNames": accepted,
        "storedVersions": obj["status"]["storedVersions"],
    }
    table = cluster.store.table(GROUP, PLURAL)
    if status != obj.get("status"):
        table.put({**obj, "status": status})
    if not taken:
        serve(cluster, obj)


def _condition(kind: str, good: bool, reason: str, message: str, *bad: str) -> Object:
    if not good:
        reason, message = bad
    return {
        "type": kind,
        "status": "True" if good else "False",
        "lastTransitionTime": now(),
        "reason": reason,
        "message": message,
    }


def _keep_times(conditions: list[Object], before: list[Object]) -> list[Object]:
    known = {c["type"]: c for c in before}
    for condition in conditions:
        old = known.get(condition["type"])
        if old and old["status"] == condition["status"]:
            condition["lastTransitionTime"] = old["lastTransitionTime"]
    return conditions


def _accept(cluster: Cluster, obj: Object) -> tuple[Object, tuple[str, str] | tuple[()]]:
    """The names that are free, and the reason and message of the last one that another kind of the group has.

    As calculateNamesAndConditions of apiextensions-apiserver's naming controller takes them, one by one.
    """
    spec = obj["spec"]
    group, wanted = spec["group"], spec["names"]
    others = [k for k in cluster.kinds if k.group == group and k.plural != wanted["plural"]]
    in_use = {name for k in others for name in (k.plural, k.singular, *k.short_names)}
    kinds = {name for k in others for name in (k.kind, k.list_kind)}
    accepted: Object = {"plural": "", "kind": ""}
    taken: tuple[str, str] | tuple[()] = ()
    for field, reason, known in (
        ("plural", "PluralConflict", in_use),
        ("singular", "SingularConflict", in_use),
        ("shortNames", "ShortNamesConflict", in_use),
        ("kind", "KindConflict", kinds),
        ("listKind", "ListKindConflict", kinds),
    ):
        value = wanted.get(field)
        asked = value if isinstance(value, list) else [value]
        conflicts = [f'"{name}" is already in use' for name in asked if name in known]
        if conflicts:
            taken = (reason, conflicts[0] if len(conflicts) == 1 else f"[{', '.join(conflicts)}]")
        elif value:
            accepted[field] = clone(value)
    if wanted.get("categories"):
        accepted["categories"] = clone(wanted["categories"])
    return accepted, taken


SCALE = Subresource("scale", ("get", "patch", "update"), "Scale", "autoscaling", "v1")


def serve(cluster: Cluster, obj: Object) -> None:
    """Put the definition's served versions into the kinds."""
    spec = obj["spec"]
    found = spec["names"]
    storage = next(version["name"] for version in spec["versions"] if version["storage"])
    cluster.kinds.remove(spec["group"], found["plural"])
    stored = CustomStrategy(next(version for version in spec["versions"] if version["storage"]))
    keep = _converter(f"{spec['group']}/{storage}", stored)
    cluster.store.table(spec["group"], found["plural"]).rewrite(keep)
    for version in sorted(spec["versions"], key=lambda version: version_order(version["name"])):
        if not version.get("served"):
            continue
        strategy = CustomStrategy(version)
        strategy.warnings = _deprecation(spec, version)
        subresources = version.get("subresources") or {}
        api_version = f"{spec['group']}/{version['name']}"
        cluster.kinds.add(
            Kind(
                spec["group"],
                version["name"],
                found["kind"],
                found["plural"],
                found.get("singular") or found["kind"].lower(),
                spec["scope"] == "Namespaced",
                strategy,
                tuple(found.get("shortNames") or ()),
                tuple(found.get("categories") or ()),
                STANDARD_VERBS,
                {
                    **({"status": STATUS} if "status" in subresources else {}),
                    **({"scale": SCALE} if "scale" in subresources else {}),
                },
                found.get("listKind") or f"{found['kind']}List",
                storage,
                _converter(api_version, strategy, fill=False) if version["name"] != storage else None,
                keep if version["name"] != storage else None,
            )
        )


def _deprecation(spec: Object, version: Object) -> tuple[str, ...]:
    """What users of a deprecated version are told: the definition's words, or which version to use instead."""
    if not version.get("deprecated"):
        return ()
    if version.get("deprecationWarning"):
        return (version["deprecationWarning"],)
    group, kind = spec["group"], spec["names"]["kind"]
    text = f"{group}/{version['name']} {kind} is deprecated"
    better = [
        other["name"]
        for other in sorted(spec["versions"], key=lambda v: version_order(v["name"]))
        if other["served"]
        and not other.get("deprecated")
        and version_order(other["name"]) < version_order(version["name"])
    ]
    return (f"{text}; use {group}/{better[0]} {kind}" if better else text,)


def _converter(api_version: str, strategy: CustomStrategy, *, fill: bool = True) -> Callable[[Object], Object]:
    """Conversion `None`: another apiVersion, with the fields of that version's schema."""

    def convert(obj: Object) -> Object:
        copy: Object = clone(obj)
        copy["apiVersion"] = api_version
        strategy.schema.prune(copy)
        if fill:  # what is stored is defaulted, and what is converted from it is not again
            strategy.schema.default(copy)
        return copy

    return convert


def definition_kind() -> Kind:
    """The kind of definitions."""
    return Kind(
        GROUP,
        "v1",
        "CustomResourceDefinition",
        PLURAL,
        "customresourcedefinition",
        False,
        DefinitionStrategy(),
        ("crd", "crds"),
        ("api-extensions",),
        subresources={"status": STATUS},
    )


__all__ = ["DefinitionStrategy", "definition_kind", "establish", "names", "serve"]
