"""Subresources with ways of their own: a ServiceAccount's token, a pod's binding, a namespace's finalize."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from kubesandbox import bodies, crud, decoding, errors, options, rendering
from kubesandbox.builtin import types
from kubesandbox.metadata import now
from kubesandbox.objects import Json, Object, clone, dig
from kubesandbox.schema import causes
from kubesandbox.wire.messages import Answer, HttpRequest

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.paths import RequestInfo
    from kubesandbox.strategy import Request

LEAST_SECONDS, MOST_SECONDS, DEFAULT_SECONDS = 600, 1 << 32, 3600


def _decode(type_name: str, body: Json) -> Object:
    kind = type_name.rsplit(".", 1)[1]
    if not isinstance(body, dict):
        raise errors.bad_request(f"the body must be a {kind}")
    try:
        made: Object = types.decoder(type_name)(body, "", [])
    except types.DecodeError as error:
        raise errors.bad_request(f'{kind} in version "v1" cannot be handled as a {kind}: {error}') from None
    return made


async def token(kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
    """POST of a TokenRequest for a ServiceAccount."""
    options.apply_to(context, options.write_options(request, "CreateOptions"))
    account = crud.get(kind, context, info.name).object
    asked = _decode(
        types.type_name("authentication.k8s.io", "v1", "TokenRequest"), bodies.read_object(request, "TokenRequest")
    )
    spec = asked["spec"]
    seconds = spec.get("expirationSeconds") or DEFAULT_SECONDS
    found = []
    if seconds < LEAST_SECONDS:
        found.append(
            causes.invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        )
    if seconds > MOST_SECONDS:
        found.append(
            causes.invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        )
    if found:
        raise errors.invalid("authentication.k8s.io", "TokenRequest", "", found)
    bound = _bound(context, spec.get("boundObjectRef"))
    audiences = spec.get("audiences") or [context.cluster.tokens.audience]
    text, expires = context.cluster.tokens.issue(account, audiences, seconds, bound)
    until = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": info.name, "namespace": info.namespace, "creationTimestamp": now()},
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": spec.get("boundObjectRef")},
        "status": {"token": text, "expirationTimestamp": until},
    }
    return rendering.answer(orjson.dumps(body), rendering.negotiate(request), 201)


def _bound(context: Request, reference: Object | None) -> Object | None:
    """The object a token is bound to, by kind, name and uid; it must exist."""
    if not reference:
        return None
    plural = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}.get(reference.get("kind", ""))
    if plural is None or reference.get("apiVersion", "v1") != "v1":
        version = reference.get("apiVersion") or ""
        about = f"{version if '/' in version else f'/{version}'}, Kind={reference.get('kind')}"
        raise errors.bad_request(f"cannot bind token to object of type {about}")
    namespace = "" if plural == "nodes" else context.namespace
    found = context.cluster.store.table("", plural).get(namespace, reference.get("name", ""))
    if found is None:
        raise errors.not_found("", plural, reference.get("name", ""))
    uid = found.object["metadata"]["uid"]
    if reference.get("uid") and reference["uid"] != uid:
        why = (
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict("", plural, reference.get("name", ""), why)
    return {"kind": reference["kind"], "name": reference["name"], "uid": uid}


async def binding(kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
    """POST of a Binding: the scheduler's word on where a pod runs."""
    options.apply_to(context, options.write_options(request, "CreateOptions"))
    body = _decode(types.type_name("", "v1", "Binding"), bodies.read_object(request, "Binding"))
    target = dig(body, "target", "name")
    if not target:
        raise errors.invalid("", "Binding", info.name, [causes.required("target.name")])
    pod = clone(crud.get(kind, context, info.name).object)
    if pod["metadata"].get("deletionTimestamp"):
        raise errors.conflict(
            "", "pods/binding", info.name, f"pod {info.name} is being deleted, cannot be assigned to a host"
        )
    if pod["spec"].get("nodeName"):
        why = f'pod {info.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        raise errors.conflict("", "pods/binding", info.name, why)
    pod["spec"]["nodeName"] = target
    conditions = pod["status"].setdefault("conditions", [])
    if not any(c.get("type") == "PodScheduled" for c in conditions):
        conditions.append({"type": "PodScheduled", "lastProbeTime": None, "lastTransitionTime": now()})
    for condition in conditions:
        if condition["type"] == "PodScheduled":
            condition["status"] = "True"
            for key in ("reason", "message"):
                condition.pop(key, None)
    if not context.dry_run:
        context.cluster.store.table("", "pods").put(pod)
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return rendering.answer(orjson.dumps(status), rendering.negotiate(request), 201)


async def finalize(kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
    """PUT of a namespace's finalizers."""
    options.apply_to(context, options.write_options(request, "UpdateOptions"))
    context.namespace = ""
    current = crud.get(kind, context, info.name)
    body = decoding.receive(kind, bodies.read_object(request, "Namespace"), context)
    given = body["metadata"].get("resourceVersion")
    if given and given != str(current.revision):
        raise errors.conflict("", "namespaces", info.name, errors.MODIFIED)
    obj = clone(current.object)
    obj["spec"] = {"finalizers": dig(body, "spec", "finalizers") or []} if dig(body, "spec", "finalizers") else {}
    how = rendering.negotiate(request)
    if obj["metadata"].get("deletionTimestamp") and not obj["spec"] and not obj["metadata"].get("finalizers"):
        return rendering.one(kind, crud.remove(kind, obj, context), how, request)
    return rendering.one(kind, context.cluster.store.table("", "namespaces").put(obj), how, request)
