"""Deployments and ReplicaSets: defaults and validation."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubesandbox import metadata
from kubesandbox.builtin import podspecs
from kubesandbox.builtin.label_selectors import validate_selector
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Object, child, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.selectors import from_struct
from kubesandbox.strategy import Request


def validate_pods(spec: Object, kind: str) -> list[Cause]:
    """What is wrong with replicas, selector and template of a workload."""
    found: list[Cause] = []
    replicas = spec.get("replicas", 1)
    if replicas < 0:
        found.append(causes.invalid("spec.replicas", replicas, podspecs.NON_NEGATIVE))
    selector = spec.get("selector")
    if selector is None:
        found.append(causes.required("spec.selector"))
    else:
        wrong = validate_selector(selector, "spec.selector")
        if wrong:  # the template is then not looked at (ValidateDeploymentSpec)
            shown = {key: selector[key] for key in ("matchLabels", "matchExpressions") if selector.get(key)}
            return [*found, *wrong, causes.invalid("spec.selector", causes.go_struct(shown), "invalid label selector")]
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            found.append(causes.invalid("spec.selector", selector, f"empty selector is invalid for {kind}"))
    template = spec.get("template") or {}
    parsed = from_struct(selector)
    labels = dig(template, "metadata", "labels")
    if parsed is None or not parsed.matches(labels or {}):
        found.append(
            causes.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
        )
    found += podspecs.validate_template(template, "spec.template", ["Always"])
    if dig(template, "spec", "activeDeadlineSeconds") is not None:
        text = "activeDeadlineSeconds in ReplicaSet is not Supported"
        found.append(causes.forbidden("spec.template.spec.activeDeadlineSeconds", text))
    return found + not_negative(spec, "minReadySeconds")


def not_negative(spec: Object, *keys: str) -> list[Cause]:
    """Numbers of a spec that are below zero."""
    return [
        causes.invalid(f"spec.{key}", spec[key], podspecs.NON_NEGATIVE)
        for key in keys
        if isinstance(spec.get(key), int) and spec[key] < 0
    ]


class WorkloadStrategy(BuiltinStrategy):
    """A kind with replicas of a pod template, and an immutable selector."""

    counts_generations = True
    has_status = True
    word = ""
    counted: tuple[str, ...] = ("updatedReplicas", "readyReplicas", "availableReplicas")

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        return validate_pods(obj["spec"], self.word)

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        found = self.validate(obj, request)
        if obj["spec"].get("selector") != old["spec"].get("selector"):
            found.append(causes.invalid("spec.selector", obj["spec"].get("selector"), metadata.IMMUTABLE))
        return found

    def validate_status(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        """Counts that cannot be (ValidateDeploymentStatus, ValidateReplicaSetStatus)."""
        status = obj.get("status") or {}
        counts = {key: value for key, value in status.items() if key.endswith("eplicas") and isinstance(value, int)}
        found = [causes.invalid(f"status.{k}", v, podspecs.NON_NEGATIVE) for k, v in counts.items() if v < 0]
        text = "cannot be greater than status.replicas"
        found += [
            causes.invalid(f"status.{key}", counts.get(key, 0), text)
            for key in self.counted
            if counts.get(key, 0) > counts.get("replicas", 0)
        ]
        available = counts.get("availableReplicas", 0)
        if available > counts.get("readyReplicas", 0):
            found.append(causes.invalid("status.availableReplicas", available, "cannot be greater than readyReplicas"))
        return found

    def fields(self, obj: Object) -> Mapping[str, str]:
        return {"status.replicas": str(dig(obj, "status", "replicas") or 0)}


class DeploymentStrategy(WorkloadStrategy):
    """Deployments."""

    word = "deployment"
    status_keeps = ("labels",)

    def default(self, obj: Object) -> None:
        spec = child(obj, "spec")
        spec.setdefault("replicas", 1)
        strategy = child(spec, "strategy")
        strategy.setdefault("type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            rolling = child(strategy, "rollingUpdate")
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)
        podspecs.default_template(child(spec, "template"))

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        found = super().validate(obj, request)
        strategy = obj["spec"]["strategy"]
        if strategy["type"] not in {"Recreate", "RollingUpdate"}:
            shown = {"Type": strategy["type"], "RollingUpdate": _shown(strategy.get("rollingUpdate"))}
            found.append(causes.not_supported("spec.strategy", causes.go_struct(shown), ["Recreate", "RollingUpdate"]))
        elif strategy["type"] == "Recreate" and strategy.get("rollingUpdate") is not None:
            text = "may not be specified when strategy `type` is 'Recreate'"
            found.append(causes.forbidden("spec.strategy.rollingUpdate", text))
        elif strategy["type"] == "RollingUpdate":
            found += _rolling(strategy["rollingUpdate"])
        found += not_negative(obj["spec"], "revisionHistoryLimit", "progressDeadlineSeconds")
        deadline, ready = obj["spec"].get("progressDeadlineSeconds"), obj["spec"].get("minReadySeconds", 0)
        if deadline is not None and deadline <= ready:
            found.append(
                causes.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
            )
        return found


def _shown(rolling: Object | None) -> Object | None:
    """A rollingUpdate as Go shows its fields."""
    if rolling is None:
        return None
    return {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}


def _rolling(rolling: Object) -> list[Cause]:
    found: list[Cause] = []
    path = "spec.strategy.rollingUpdate"
    for key in ("maxUnavailable", "maxSurge"):
        value = rolling.get(key)
        if isinstance(value, str) and not re.fullmatch(r"[0-9]+%", value):
            text = (
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
                "regex used for validation is '[0-9]+%')"
            )
            found.append(causes.invalid(f"{path}.{key}", value, text))
        elif isinstance(value, int) and value < 0:
            found.append(causes.invalid(f"{path}.{key}", value, podspecs.NON_NEGATIVE))
    unavailable = rolling.get("maxUnavailable")
    if isinstance(unavailable, str) and re.fullmatch(r"[0-9]+%", unavailable) and int(unavailable[:-1]) > 100:
        found.append(causes.invalid(f"{path}.maxUnavailable", unavailable, "must not be greater than 100%"))
    surge = rolling.get("maxSurge")
    nothing = surge in {0, "0%"} or (isinstance(surge, str) and not re.fullmatch(r"[0-9]+%", surge))
    if rolling.get("maxUnavailable") in {0, "0%"} and nothing:
        text = "may not be 0 when `maxSurge` is 0"
        found.append(causes.invalid(f"{path}.maxUnavailable", rolling["maxUnavailable"], text))
    return found


class ReplicaSetStrategy(WorkloadStrategy):
    """ReplicaSets."""

    word = "deployment"  # as ValidateReplicaSetSpec says
    counted = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    selectable = frozenset({"status.replicas"})

    def default(self, obj: Object) -> None:
        spec = child(obj, "spec")
        spec.setdefault("replicas", 1)
        podspecs.default_template(child(spec, "template"))

    def prepare_create(self, obj: Object, request: Request) -> None:
        obj["status"] = {"replicas": 0}
