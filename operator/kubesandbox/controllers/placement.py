"""Where a pod may run. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubesandbox.client import Object
from kubesandbox.client.selectors import requirement
from kubesandbox.controllers import pods as about


@dataclass(frozen=True, slots=True)
class Placement:
    """The node to bind to, or why there is none."""

    node: str | None
    message: str = ""


def place(pod: Object, nodes: Iterable[Object], load: Mapping[str, int]) -> Placement:
    """The feasible node with the fewest pods. `load`: active pods by node name.

    nodeName, nodeSelector, required node affinity, taints, unschedulable and the node's number of pods count; resource
    requests, pod affinity and topology spread do not.
    """
    known = list(nodes)
    if not known:
        return Placement(None, "no nodes available to schedule pods")
    feasible, reasons = [], Counter[str]()
    for node in known:
        reason = _unfit(pod, node, load)
        if reason is None:
            feasible.append(node["metadata"]["name"])
        else:
            reasons[reason] += 1
    if feasible:
        return Placement(min(feasible, key=lambda name: (load.get(name, 0), name)))
    listed = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return Placement(None, f"0/{len(known)} nodes are available: {listed}.")


def _unfit(pod: Object, node: Object, load: Mapping[str, int]) -> str | None:
    spec = node.get("spec") or {}
    if spec.get("unschedulable") and not _tolerates(pod, _UNSCHEDULABLE):
        return "node(s) were unschedulable"
    if not about.is_true(node, "Ready"):
        return "node(s) were not ready"
    for taint in spec.get("taints") or ():
        if taint["effect"] in {"NoSchedule", "NoExecute"} and not _tolerates(pod, taint):
            return f"node(s) had untolerated taint(s) {{{taint['key']}: {taint.get('value', '')}}}"
    labels = node["metadata"].get("labels") or {}
    selector = pod["spec"].get("nodeSelector") or {}
    if not (selector.items() <= labels.items() and _affine(pod, node)):
        return "node(s) didn't match Pod's node affinity/selector"
    capacity = int(((node.get("status") or {}).get("allocatable") or {}).get("pods", "110"))
    if load.get(node["metadata"]["name"], 0) >= capacity:
        return "Too many pods"
    return None


_UNSCHEDULABLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def _affine(pod: Object, node: Object) -> bool:
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(requirement(expression, labels) for expression in term.get("matchExpressions") or ())
        and all(requirement(expression, fields) for expression in term.get("matchFields") or ())
        for term in required["nodeSelectorTerms"]
        if term
    )


def _tolerates(pod: Object, taint: Object) -> bool:
    for toleration in pod["spec"].get("tolerations") or ():
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        if toleration.get("key") and toleration["key"] != taint["key"]:
            continue
        if toleration.get("operator", "Equal") == "Exists" or (
            toleration.get("key") and toleration.get("value", "") == taint.get("value", "")
        ):
            return True
    return False
