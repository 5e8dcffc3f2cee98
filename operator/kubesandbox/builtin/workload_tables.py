"""Columns of workloads (kubernetes pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from datetime import datetime

from kubesandbox.ages import human, parse_time, since
from kubesandbox.builtin.columns import NONE, containers, path, selector_cell
from kubesandbox.builtin.podstatus import ready_cell, restarts_cell, status_cell
from kubesandbox.objects import Object, dig
from kubesandbox.tables import AGE, NAME, Cell, Column, Columns


def _deployment_ready(obj: Object) -> Cell:
    return f"{dig(obj, 'status', 'readyReplicas') or 0}/{dig(obj, 'spec', 'replicas') or 0}"


DEPLOYMENT: Columns = (
    NAME,
    Column("Ready", _deployment_ready),
    path("Up-to-date", "status", "updatedReplicas", default=0),
    path("Available", "status", "availableReplicas", default=0),
    AGE,
    *containers("spec", "template", "spec"),
    Column("Selector", selector_cell, priority=1),
)
REPLICA_SET: Columns = (
    NAME,
    path("Desired", "spec", "replicas", default=0, kind="integer"),
    path("Current", "status", "replicas", default=0, kind="integer"),
    path("Ready", "status", "readyReplicas", default=0, kind="integer"),
    AGE,
    *containers("spec", "template", "spec"),
    Column("Selector", selector_cell, priority=1),
)


def _job_status(obj: Object) -> Cell:
    held = {c["type"] for c in dig(obj, "status", "conditions") or () if c.get("status") == "True"}
    if "Complete" in held:
        return "Complete"
    if "Failed" in held:
        return "Failed"
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if "Suspended" in held:
        return "Suspended"
    return (
        "FailureTarget"
        if "FailureTarget" in held
        else "SuccessCriteriaMet"
        if "SuccessCriteriaMet" in held
        else "Running"
    )


def _completions(obj: Object) -> Cell:
    succeeded, wanted = dig(obj, "status", "succeeded") or 0, dig(obj, "spec", "completions")
    if wanted is not None:
        return f"{succeeded}/{wanted}"
    parallelism = dig(obj, "spec", "parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(obj: Object) -> Cell:
    start = dig(obj, "status", "startTime")
    if not start:
        return ""
    end = dig(obj, "status", "completionTime")
    return _between(parse_time(start), parse_time(end)) if end else since(start)


def _between(start: datetime | None, end: datetime | None) -> str:
    return human((end - start).total_seconds()) if start and end else ""


JOB: Columns = (
    NAME,
    Column("Status", _job_status),
    Column("Completions", _completions),
    Column("Duration", _job_duration),
    AGE,
    *containers("spec", "template", "spec"),
    Column("Selector", selector_cell, priority=1),
)


def _metric(metric: Object) -> str:
    kind = metric.get("type", "")
    body = metric.get(kind[:1].lower() + kind[1:]) or {}
    target = body.get("target") or {}
    if kind == "Resource":
        if target.get("averageUtilization") is not None:
            return f"{body.get('name')}: <unknown>/{target['averageUtilization']}%"
        return f"{body.get('name')}: <unknown>/{target.get('averageValue') or '<auto>'}"
    return f"<unknown>/{target.get('averageValue') or target.get('value') or '<auto>'}"


def _targets(obj: Object) -> Cell:
    found = [_metric(metric) for metric in dig(obj, "spec", "metrics") or ()]
    if not found:
        return NONE
    return ", ".join(found[:2]) + (f" + {len(found) - 2} more..." if len(found) > 2 else "")


AUTOSCALER: Columns = (
    NAME,
    Column(
        "Reference",
        lambda obj: f"{dig(obj, 'spec', 'scaleTargetRef', 'kind')}/{dig(obj, 'spec', 'scaleTargetRef', 'name')}",
    ),
    Column("Targets", _targets),
    Column("MinPods", lambda obj: str(dig(obj, "spec", "minReplicas") or "<unset>")),
    path("MaxPods", "spec", "maxReplicas"),
    path("Replicas", "status", "currentReplicas", default=0),
    AGE,
)


def _or_not(name: str, *path: str) -> Column:
    def show(obj: Object) -> Cell:
        value = dig(obj, *path)
        return "N/A" if value is None else str(value)

    return Column(name, show)


BUDGET: Columns = (
    NAME,
    _or_not("Min Available", "spec", "minAvailable"),
    _or_not("Max Unavailable", "spec", "maxUnavailable"),
    path("Allowed Disruptions", "status", "disruptionsAllowed", default=0, kind="integer"),
    AGE,
)


def _nominated(obj: Object) -> Cell:
    return dig(obj, "status", "nominatedNodeName") or NONE


def _gates(obj: Object) -> Cell:
    gates = dig(obj, "spec", "readinessGates") or []
    if not gates:
        return NONE
    held = {c["type"] for c in dig(obj, "status", "conditions") or () if c.get("status") == "True"}
    return f"{sum(gate.get('conditionType') in held for gate in gates)}/{len(gates)}"


POD: Columns = (
    NAME,
    Column("Ready", ready_cell),
    Column("Status", status_cell),
    Column("Restarts", restarts_cell),
    AGE,
    path("IP", "status", "podIP", default=NONE, priority=1),
    path("Node", "spec", "nodeName", default=NONE, priority=1),
    Column("Nominated Node", _nominated, priority=1),
    Column("Readiness Gates", _gates, priority=1),
)
