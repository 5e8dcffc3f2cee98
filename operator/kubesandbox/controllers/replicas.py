"""A ReplicaSet's decision: which pods are its own, how many to make, which to remove, what to report. Pure."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubesandbox.client import Object, owner_of
from kubesandbox.client.selectors import matches
from kubesandbox.controllers import pods as about

BURST = 500
"""Most pods that one pass makes or removes."""

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True, slots=True)
class Claims:
    """Pods by what their ReplicaSet has to do about owning them."""

    owned: list[Object]
    adopt: list[Object]
    release: list[Object]


@dataclass(frozen=True, slots=True)
class Decision:
    """`create` more pods, or delete those in `delete`."""

    create: int = 0
    delete: tuple[Object, ...] = ()


def claim(replica_set: Object, pods: Iterable[Object]) -> Claims:
    """Sort the namespace's pods: ours, orphans that match, and ours that no longer match."""
    uid = replica_set["metadata"]["uid"]
    selector = replica_set["spec"]["selector"]
    claims = Claims([], [], [])
    for pod in pods:
        owner = owner_of(pod)
        fits = matches(selector, pod["metadata"].get("labels"))
        if owner is not None and owner["uid"] == uid:
            (claims.owned if fits else claims.release).append(pod)
        elif owner is None and fits and about.is_active(pod) and not about.is_deleted(replica_set):
            claims.adopt.append(pod)
    return claims


def decide(replica_set: Object, owned: Sequence[Object], related: Sequence[Object]) -> Decision:
    """What makes the number of active pods that which is asked for. `related` are pods of the same owner's sets."""
    if about.is_deleted(replica_set):
        return Decision()
    active = [pod for pod in owned if about.is_active(pod)]
    missing = replica_set["spec"].get("replicas", 1) - len(active)
    if missing >= 0:
        return Decision(create=min(missing, BURST))
    crowd: dict[str, int] = {}
    for pod in related:
        if about.is_active(pod):
            node = pod["spec"].get("nodeName", "")
            crowd[node] = crowd.get(node, 0) + 1
    ranked = sorted(active, key=lambda pod: _rank(pod, crowd))
    return Decision(delete=tuple(ranked[: min(-missing, BURST)]))


def status(
    replica_set: Object, owned: Sequence[Object], failure: str | None, removing: bool, now: dt.datetime
) -> Object:
    """The status to report. `failure` is the error of the last create or delete that was refused."""
    spec = replica_set["spec"]
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    minimum = spec.get("minReadySeconds", 0)
    active = [pod for pod in owned if about.is_active(pod)]
    ready = [pod for pod in active if about.is_ready(pod)]
    result: Object = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(
            1 for pod in active if labels.items() <= (pod["metadata"].get("labels") or {}).items()
        ),
        "readyReplicas": len(ready),
        "availableReplicas": sum(1 for pod in ready if about.available_in(pod, minimum, now) == 0),
        "terminatingReplicas": sum(
            1 for pod in owned if about.is_deleted(pod) and about.phase(pod) not in {"Succeeded", "Failed"}
        ),
        "observedGeneration": replica_set["metadata"].get("generation", 0),
    }
    held = [c for c in (replica_set.get("status") or {}).get("conditions") or () if c["type"] != "ReplicaFailure"]
    before = about.condition(replica_set, "ReplicaFailure")
    if failure is not None:
        wanted: Object = {
            "type": "ReplicaFailure",
            "status": "True",
            "lastTransitionTime": about.format_time(now),
            "reason": "FailedDelete" if removing else "FailedCreate",
            "message": failure,
        }
        result["conditions"] = about.set_condition([*held, *([before] if before else [])], wanted)
    elif held:
        result["conditions"] = held
    return result


def _rank(pod: Object, crowd: dict[str, int]) -> tuple[object, ...]:
    """The order in which pods go: unassigned, pending, not ready, cheap, crowded, lately ready, restarted, young."""
    metadata = pod["metadata"]
    ready = about.condition(pod, "Ready") or {}
    is_ready = ready.get("status") == "True"
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}
    return (
        bool(pod["spec"].get("nodeName")),
        phases.get(about.phase(pod), 0),
        is_ready,
        int((metadata.get("annotations") or {}).get(DELETION_COST, "0")),
        -crowd.get(pod["spec"].get("nodeName", ""), 0),
        _newest_first(ready.get("lastTransitionTime", "")) if is_ready else 0.0,
        -about.restarts(pod),
        _newest_first(metadata.get("creationTimestamp", "")),
        metadata["name"],
    )


def _newest_first(text: str) -> float:
    return -about.parse_time(text).timestamp() if text else 0.0
