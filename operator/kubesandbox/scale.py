"""The scale subresource: `autoscaling/v1` Scale over a Deployment, a ReplicaSet or a custom resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from kubesandbox import bodies, crud, decoding, errors, options, rendering, tables
from kubesandbox.builtin import types
from kubesandbox.negotiation import Accepted
from kubesandbox.objects import Json, Object, child, clone, dig
from kubesandbox.patching import APPLY, patch_type, patched
from kubesandbox.schema import causes
from kubesandbox.selectors import format_selector
from kubesandbox.wire.messages import Answer, HttpRequest

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.paths import RequestInfo
    from kubesandbox.strategy import Request

TYPE = types.type_name("autoscaling", "v1", "Scale")


def paths(kind: Kind) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...] | None]:
    """Where replicas are asked for and told of, and where the selector is."""
    scale = dig(getattr(kind.strategy, "definition", None), "subresources", "scale")
    if not scale:
        return ("spec", "replicas"), ("status", "replicas"), ("spec", "selector")

    def split(path: str) -> tuple[str, ...]:
        return tuple(path.strip(".").split("."))

    selector = scale.get("labelSelectorPath")
    return split(scale["specReplicasPath"]), split(scale["statusReplicasPath"]), split(selector) if selector else None


def scale_of(kind: Kind, obj: Object) -> Object:
    """An object's Scale."""
    wanted, told, selector = paths(kind)
    meta = obj["metadata"]
    replicas = dig(obj, *wanted) or 0
    if kind.strategy.custom and dig(obj, *wanted) is None:
        raise errors.internal_error(f'the spec replicas field ".{".".join(wanted)}" does not exist')
    found = dig(obj, *selector) if selector else None
    status: Object = {"replicas": dig(obj, *told) or 0}
    text = found if isinstance(found, str) else format_selector(found) if found else ""
    if text:
        status["selector"] = text
    kept = {
        key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if key in meta
    }
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


class ScaleHandler:
    """GET, PUT and PATCH of `…/scale`."""

    async def __call__(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
        """Answer one request."""
        how = rendering.negotiate(request)
        version = crud.get(kind, context, info.name)
        current = scale_of(kind, crud.view(kind, version))
        if info.verb == "get":
            return _shown(current, how, request)
        obj = clone(crud.view(kind, version))
        path = paths(kind)[0]
        applying = info.verb == "patch" and patch_type(request, kind) == APPLY
        if applying:
            from kubesandbox.scale_apply import apply_scale

            asked = options.write_options(request, "PatchOptions", apply=True)
            options.apply_to(context, asked)
            force = bool(asked.force)
            wanted, owners = apply_scale(kind, obj, current, request, context, path=path, force=force)
            obj["metadata"]["managedFields"] = owners
        else:
            wanted = self._wanted(kind, info, request, context, current)
        replicas = _replicas(kind, wanted, info.name)
        child(obj, *path[:-1])[path[-1]] = replicas
        for key in ("resourceVersion", "uid"):
            given = dig(wanted, "metadata", key)
            if given:
                obj["metadata"][key] = given
        context.subresource = ""
        outcome = crud.update(kind, info.name, obj, context, applied=applying)
        if outcome.version is version and not context.dry_run:
            # Who manages the replicas is told anew with each write, so that none of them changes nothing.
            outcome = crud.Outcome(context.cluster.store.table(*kind.table_key).put(clone(version.object)))
        return _shown(scale_of(kind, crud.view(kind, outcome.version)), how, request)

    def _wanted(self, kind: Kind, info: RequestInfo, request: HttpRequest, context: Request, current: Object) -> Json:
        if info.verb == "update":
            options.apply_to(context, options.write_options(request, "UpdateOptions"))
            wanted = bodies.read_object(request, "Scale")
        else:
            media = patch_type(request, kind)
            options.apply_to(context, options.write_options(request, "PatchOptions"))
            wanted = patched(media, current, request, kind)
        if not isinstance(wanted, dict):
            raise errors.bad_request("the body must be a Scale")
        if wanted.get("kind", "Scale") != "Scale":
            raise errors.bad_request(f"wrong object passed to Scale update: {wanted.get('kind')}")
        name = dig(wanted, "metadata", "name")
        if name and name != info.name:
            raise errors.bad_request(
                f"the name of the object ({name}) does not match the name on the URL ({info.name})"
            )
        decoding.check_namespace(kind, dict(wanted.get("metadata") or {}), context)
        unknown: list[str] = []
        try:
            made = types.decoder(TYPE)(wanted, "", unknown)
        except types.DecodeError as error:
            if info.verb == "patch":
                shown = [causes.invalid("patch", causes.go_json(wanted), str(error))]
                raise errors.invalid("", "", "", shown) from None
            raise errors.bad_request(f'Scale in version "v1" cannot be handled as a Scale: {error}') from None
        decoding.report_unknown("Scale", "v1", unknown, context)
        return made


_COLUMNS: tables.Columns = (
    tables.NAME,
    tables.Column("Desired", lambda obj: dig(obj, "spec", "replicas") or 0, "integer"),
    tables.Column("Available", lambda obj: dig(obj, "status", "replicas") or 0, "integer"),
    tables.AGE,
)


def _shown(scale: Object, how: Accepted, request: HttpRequest) -> Answer:
    """A Scale as asked for."""
    if how.shape == "Table":
        meta = {"resourceVersion": scale["metadata"]["resourceVersion"]}
        body = tables.table([scale], _COLUMNS, request.param("includeObject") or "", meta, version=how.version)
        return rendering.answer(orjson.dumps(body), how)
    if how.shape:
        return rendering.answer(orjson.dumps(tables.partial(scale, how.version)), how)
    return rendering.answer(orjson.dumps(scale), how)


def _replicas(kind: Kind, wanted: Object, name: str) -> int:
    replicas = dig(wanted, "spec", "replicas") or 0
    if replicas < 0:
        if kind.strategy.custom:
            wrong = causes.invalid(".spec.replicas", replicas, "should be a non-negative integer")
            raise errors.invalid(kind.group, "Scale", name, [wrong])
        text = "must be greater than or equal to 0"
        raise errors.invalid("autoscaling", "Scale", name, [causes.invalid("spec.replicas", replicas, text)])
    return int(replicas)
