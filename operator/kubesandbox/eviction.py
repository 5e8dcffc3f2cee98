"""Eviction: a deletion that asks the PodDisruptionBudgets first (pkg/registry/core/pod/storage/eviction.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from kubesandbox import bodies, crud, deletion, errors, options, rendering
from kubesandbox.errors import StatusError
from kubesandbox.metadata import now
from kubesandbox.objects import Object, child, clone, dig
from kubesandbox.selectors import from_struct
from kubesandbox.wire.messages import Answer, HttpRequest

if TYPE_CHECKING:
    from kubesandbox.kinds import Kind
    from kubesandbox.paths import RequestInfo
    from kubesandbox.strategy import Request

_BUDGETS = ("policy", "poddisruptionbudgets")


async def evict(kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer:
    """POST of an Eviction: the pod goes if its budget allows it, or 429 says that it does not now."""
    options.apply_to(context, options.write_options(request, "CreateOptions"))
    body = bodies.read_object(request, "Eviction")
    if not isinstance(body, dict) or body.get("kind", "Eviction") != "Eviction":
        raise errors.bad_request("the body must be an Eviction")
    name = dig(body, "metadata", "name")
    if name and name != info.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    asked = deletion.of_body(body.get("deleteOptions") or {})
    asked.dry_run = asked.dry_run or context.dry_run
    context.dry_run = asked.dry_run
    pod = crud.get(kind, context, info.name).object
    # What runs no more, or goes already, disrupts nobody.
    if dig(pod, "status", "phase") not in {"Succeeded", "Failed", "Pending"} and not pod["metadata"].get(
        "deletionTimestamp"
    ):
        _spend(pod, context)
    deletion.delete(kind, info.name, asked, context)
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return rendering.answer(orjson.dumps(status), rendering.negotiate(request), 201)


def _spend(pod: Object, context: Request) -> None:
    """Count the eviction against the pod's budget."""
    table = context.cluster.store.table(*_BUDGETS)
    labels = pod["metadata"].get("labels") or {}
    found = [version.object for version in table.scan(context.namespace) if _covers(version.object, labels)]
    if len(found) > 1:
        raise StatusError(
            500, "", "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    if not found:
        return
    budget = clone(found[0])
    name, status = budget["metadata"]["name"], child(budget, "status")
    left = status.get("disruptionsAllowed") or 0
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", retry=10)
    if left <= 0:
        healthy, desired = status.get("currentHealthy") or 0, status.get("desiredHealthy") or 0
        raise _too_many(f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
    if context.dry_run:
        return
    status["disruptionsAllowed"] = left - 1
    child(status, "disruptedPods")[pod["metadata"]["name"]] = now()
    table.put(budget)


def _covers(budget: Object, labels: dict[str, str]) -> bool:
    selector = from_struct(dig(budget, "spec", "selector"))
    return selector is not None and selector.matches(labels)


def _too_many(cause: str, retry: int = 0) -> StatusError:
    details: errors.StatusDetails = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
    if retry:
        details["retryAfterSeconds"] = retry
    said = "Cannot evict pod as it would violate the pod's disruption budget."
    return StatusError(429, "TooManyRequests", said, details)
