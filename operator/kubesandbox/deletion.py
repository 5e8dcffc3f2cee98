"""DELETE: what holds an object for a while, and how it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesandbox import bodies, crud, errors, metadata
from kubesandbox.builtin import types
from kubesandbox.objects import Json, Object, clone
from kubesandbox.options import integer, truth
from kubesandbox.schema import causes
from kubesandbox.store import Version
from kubesandbox.wire.messages import HttpRequest

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.strategy import Request


TYPE = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"


@dataclass
class DeleteOptions:
    """`metav1.DeleteOptions`, from a body or a query."""

    grace: int | None = None
    propagation: str | None = None
    uid: str | None = None
    revision: str | None = None
    dry_run: bool = False


def options_of(request: HttpRequest) -> DeleteOptions:
    """`DeleteOptions` from the body, or from the query where there is none."""
    try:
        body: Json = bodies.read_object(request, "DeleteOptions") if request.body.strip() else {}
    except errors.StatusError as error:
        # metainternalversionscheme.Codecs.DecodeInto does not tell what the body should have been.
        _, prefix, why = error.message.partition("(must be of type DeleteOptions): ")
        raise errors.bad_request(why.rpartition(" (")[0]) if prefix else error from None
    if not isinstance(body, dict):
        raise errors.bad_request(
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {metadata.json_type(body)} into Go "
            'value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string '
            '"json:\\"kind,omitempty\\"" }'
        )
    if body and body.get("kind", "DeleteOptions") != "DeleteOptions":
        raise errors.bad_request(
            f'no kind "{body["kind"]}" is registered for version "{body.get("apiVersion", "")}" in scheme '
            '"pkg/apis/meta/internalversion/scheme/register.go:27"'
        )
    query: Object = {}
    if not body:
        grace = request.param("gracePeriodSeconds")
        if grace is not None:
            query["gracePeriodSeconds"] = integer(grace)
        if request.param("propagationPolicy") is not None:
            query["propagationPolicy"] = request.param("propagationPolicy")
        if request.param("orphanDependents"):
            query["orphanDependents"] = truth(request.param("orphanDependents"))
        if request.query.get("dryRun"):
            query["dryRun"] = request.query["dryRun"]
    return of_body(body or query)


def of_body(asked: Object) -> DeleteOptions:
    """`DeleteOptions` as their JSON says them."""
    try:
        asked = types.decoder(TYPE)(asked, "", [])
    except types.DecodeError as error:
        raise errors.bad_request(str(error)) from None
    _check_delete_options(asked)
    orphan, policy = asked.get("orphanDependents"), asked.get("propagationPolicy")
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    preconditions = clone(asked.get("preconditions")) or {}
    return DeleteOptions(
        grace=asked.get("gracePeriodSeconds"),
        propagation=policy,
        uid=preconditions.get("uid"),
        revision=preconditions.get("resourceVersion"),
        dry_run="All" in (asked.get("dryRun") or ()),
    )


_POLICIES = ["Foreground", "Background", "Orphan"]


def _check_delete_options(asked: Object) -> None:
    found: list[causes.Cause] = []
    policy = asked.get("propagationPolicy")
    if asked.get("orphanDependents") is not None and policy is not None:
        text = "orphanDependents and deletionPropagation cannot be both set"
        found.append(causes.invalid("propagationPolicy", policy, text))
    if policy is not None and policy not in _POLICIES:
        found.append(causes.not_supported("propagationPolicy", policy, [*_POLICIES, "nil"]))
    if any(value != "All" for value in asked.get("dryRun") or ()):
        found.append(causes.not_supported("dryRun", asked["dryRun"], ["All"]))
    if found:
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", found)


_FINALIZERS = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}


def delete(kind: Kind, name: str, options: DeleteOptions, request: Request) -> crud.Outcome:
    """Delete an object, or mark it as going where finalizers, dependents or a grace period hold it."""
    current = crud.get(kind, request, name)
    meta = current.object["metadata"]
    if options.uid is not None and options.uid != meta["uid"]:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({meta['uid']}). "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict(kind.group, kind.kind, name, why)
    if options.revision is not None and options.revision != meta["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({options.revision}) does not match the ResourceVersion in "
            f"record ({meta['resourceVersion']}). The object might have been modified"
        )
        raise errors.conflict(kind.group, kind.kind, name, why)
    kind.strategy.check_delete(current.object, request)
    request.cluster.admission.validate(kind, "DELETE", None, current.object, request)
    obj = clone(current.object)
    finalizers = _finalizers_for(kind, obj, options)
    if finalizers:
        obj["metadata"]["finalizers"] = finalizers
    else:
        obj["metadata"].pop("finalizers", None)
    held = kind.strategy.begin_delete(obj, options.grace, request)
    if not held and not finalizers:
        if options.dry_run:
            return crud.Outcome(current, gone=True)
        return crud.Outcome(crud.remove(kind, obj, request), gone=True)
    if finalizers and "deletionTimestamp" not in obj["metadata"]:
        obj["metadata"]["deletionTimestamp"] = metadata.now()
        obj["metadata"].setdefault("deletionGracePeriodSeconds", 0)
        if obj["metadata"].get("generation"):
            obj["metadata"]["generation"] += 1
    if obj == current.object or options.dry_run:
        return crud.Outcome(Version(obj, current.revision))
    version = request.cluster.store.table(*kind.table_key).put(obj)
    kind.strategy.updated(obj, current.object, request)
    return crud.Outcome(version)


def _finalizers_for(kind: Kind, obj: Object, options: DeleteOptions) -> list[str]:
    """The finalizers that a deletion leaves an object with: its own, and the one of the propagation policy."""
    own: list[str] = list(obj["metadata"].get("finalizers") or ())
    others = [name for name in own if name not in _FINALIZERS.values()]
    policy = options.propagation
    if policy is None:
        held = [name for name in own if name in _FINALIZERS.values()]
        wanted = held or ([_FINALIZERS["Orphan"]] if kind.strategy.propagation == "Orphan" else [])
    else:
        wanted = [_FINALIZERS[policy]] if policy in _FINALIZERS else []
    return [*others, *wanted]


def gone_body(kind: Kind, version: Version) -> errors.StatusBody:
    """The Status of an immediate deletion."""
    meta = version.object["metadata"]
    return errors.success(meta["name"], kind.group, kind.plural, meta["uid"])
