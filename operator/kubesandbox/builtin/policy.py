"""PodDisruptionBudgets and HorizontalPodAutoscalers."""

from __future__ import annotations

import json
import re

from kubesandbox import names
from kubesandbox.builtin.amounts import amount
from kubesandbox.builtin.label_selectors import validate_selector
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Object, child, clone, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request

PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)


class DisruptionBudgetStrategy(BuiltinStrategy):
    """PodDisruptionBudgets."""

    checks_change = ""
    unconditional_update = False
    counts_generations = True
    has_status = True
    name_rule = staticmethod(names.path_segment)

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        spec = obj.get("spec") or {}
        found: list[Cause] = []
        if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
            text = "minAvailable and maxUnavailable cannot be both set"
            shown = {
                "MinAvailable": spec["minAvailable"],
                "Selector": spec.get("selector"),
                "MaxUnavailable": spec["maxUnavailable"],
                "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
            }
            found.append(causes.invalid("spec", causes.go_struct(shown), text))
        for key in ("minAvailable", "maxUnavailable"):
            value = spec.get(key)
            if isinstance(value, int) and value < 0:
                found.append(causes.invalid(f"spec.{key}", value, "must be greater than or equal to 0"))
            elif isinstance(value, str) and not re.fullmatch("[0-9]+%", value):
                found.append(causes.invalid(f"spec.{key}", value, PERCENT))
            elif isinstance(value, str) and int(value[:-1]) > 100:
                found.append(causes.invalid(f"spec.{key}", value, "must not be greater than 100%"))
        evict, known = spec.get("unhealthyPodEvictionPolicy"), ["AlwaysAllow", "IfHealthyBudget"]
        if evict is not None and evict not in known:
            found.append(causes.not_supported("spec.unhealthyPodEvictionPolicy", evict, known))
        return found + validate_selector(spec.get("selector") or {}, "spec.selector")


class AutoscalerStrategy(BuiltinStrategy):
    """HorizontalPodAutoscalers: kept, and acted on by nobody, as in a cluster without metrics."""

    has_status = True

    def default(self, obj: Object) -> None:
        spec = child(obj, "spec")
        spec.setdefault("minReplicas", 1)
        if not spec.get("metrics"):
            target = {"type": "Utilization", "averageUtilization": 80}
            spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
        if spec.get("behavior") is not None:
            _default_behavior(spec["behavior"])

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        spec = obj["spec"]
        found: list[Cause] = []
        least, most = spec["minReplicas"], spec.get("maxReplicas") or 0
        if least < 1:
            found.append(causes.invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
        if most == 0:
            found.append(causes.required("spec.maxReplicas", "must be set and greater than 0"))
        elif most < 0:
            found.append(causes.invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
        if most < least:
            text = "must be greater than or equal to `minReplicas`"
            found.append(causes.invalid("spec.maxReplicas", most, text))
        if least == 0 and not any(it.get("type") in {"Object", "External"} for it in spec.get("metrics") or ()):
            text = "must specify at least one Object or External metric to support scaling to zero replicas"
            found.append(causes.forbidden("spec.metrics", text))
        found += _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
        for index, metric in enumerate(spec.get("metrics") or ()):
            found += _metric(metric, f"spec.metrics[{index}]")
        for direction in ("scaleUp", "scaleDown"):
            window = dig(spec, "behavior", direction, "stabilizationWindowSeconds")
            if window is not None and not 0 <= window <= 3600:
                text = "must be less than or equal to 3600" if window > 0 else "must be greater than or equal to zero"
                found.append(causes.invalid(f"spec.behavior.{direction}.stabilizationWindowSeconds", window, text))
            found += _scaling(dig(spec, "behavior", direction) or {}, f"spec.behavior.{direction}")
        return found


_SELECTED, _POLICIES = ["Disabled", "Max", "Min"], ["Percent", "Pods"]


def _scaling(rules: Object, path: str) -> list[Cause]:
    """What is wrong with how fast it is scaled."""
    found: list[Cause] = []
    chosen = rules.get("selectPolicy")
    if chosen is not None and chosen not in _SELECTED:
        found.append(causes.not_supported(f"{path}.selectPolicy", chosen, _SELECTED))
    for index, policy in enumerate(rules.get("policies") or ()):
        at = f"{path}.policies[{index}]"
        if policy.get("type") not in _POLICIES:
            found.append(causes.not_supported(f"{at}.type", policy.get("type"), _POLICIES))
        for key in ("value", "periodSeconds"):
            number = policy.get(key) or 0
            if number <= 0:
                found.append(causes.invalid(f"{at}.{key}", number, "must be greater than zero"))
        if (policy.get("periodSeconds") or 0) > _LONGEST_PERIOD:
            text = f"must be less than or equal to {_LONGEST_PERIOD}"
            found.append(causes.invalid(f"{at}.periodSeconds", policy["periodSeconds"], text))
    return found


#: MaxPeriodSeconds (pkg/apis/autoscaling/validation/validation.go)
_LONGEST_PERIOD = 1800


def _default_behavior(behavior: Object) -> None:
    """What a direction does that is not told, or told in part (pkg/apis/autoscaling/v2/defaults.go)."""
    share = {"type": "Percent", "value": 100, "periodSeconds": 15}
    up = child(behavior, "scaleUp")
    for key, value in {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, share],
    }.items():
        if up.get(key) is None:
            up[key] = value
    down = child(behavior, "scaleDown")
    for key, value in {"selectPolicy": "Max", "policies": [share]}.items():
        if down.get(key) is None:
            down[key] = value


_SOURCES = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}


def _metric(metric: Object, path: str) -> list[Cause]:
    kind = metric.get("type") or ""
    if kind not in _SOURCES:
        # validateMetricSpec tells it of the type, and once more of the source that it finds none for.
        missing = [] if kind else [causes.required(f"{path}.type", "must specify a metric source type")]
        return missing + [causes.not_supported(f"{path}.type", kind, list(_SOURCES))] * 2
    source, at = metric.get(_SOURCES[kind]), f"{path}.{_SOURCES[kind]}"
    if source is None:
        return [causes.required(at, "must populate information for the given metric source")]
    target = source.get("target") or {}
    found = _named(kind, source, at) + _target(target, f"{at}.target")
    return found + _amounts(kind, target, f"{at}.target")


def _named(kind: str, source: Object, path: str) -> list[Cause]:
    """What a metric's source is called, and where it is found."""
    if kind in {"Resource", "ContainerResource"}:
        found = [] if source.get("name") else [causes.required(f"{path}.name", "must specify a resource name")]
        if kind == "ContainerResource" and not source.get("container"):
            found.append(causes.required(f"{path}.container", "must specify a container"))
        return found
    about = _reference(source.get("describedObject") or {}, f"{path}.describedObject") if kind == "Object" else []
    name = dig(source, "metric", "name") or ""
    if not name:
        return [*about, causes.required(f"{path}.metric.name", "must specify a metric name")]
    return about + [causes.invalid(f"{path}.metric.name", name, text) for text in names.path_segment(name)]


_NONE = {
    "Object": "must set either a target value or averageValue",
    "External": "must set either a target value for metric or a per-pod target",
}


def _amounts(kind: str, target: Object, path: str) -> list[Cause]:
    """Which amounts a target must have, and which not beside each other."""
    share, value, total = (target.get(key) for key in ("averageUtilization", "averageValue", "value"))
    if kind in {"Resource", "ContainerResource"}:
        if share is None and value is None:
            text = "must set either a target raw value or a target utilization"
            return [causes.required(f"{path}.averageUtilization", text)]
        text = "may not set both a target raw value and a target utilization"
        both = share is not None and value is not None
        return [causes.forbidden(f"{path}.averageValue", text)] if both else []
    if kind == "Pods":
        good = value is not None and amount(value) > 0
        text = "must specify a positive target averageValue"
        return [] if good else [causes.required(f"{path}.averageValue", text)]
    if value is None and total is None:
        return [causes.required(f"{path}.averageValue", _NONE[kind])]
    if kind == "External" and value is not None and total is not None:
        text = "may not set both a target value for metric and a per-pod target"
        return [causes.forbidden(f"{path}.value", text)]
    return []


def _reference(target: Object, path: str) -> list[Cause]:
    """What is wrong with a CrossVersionObjectReference."""
    found: list[Cause] = []
    for key in ("kind", "name"):
        text = target.get(key) or ""
        if not text:
            found.append(causes.required(f"{path}.{key}"))
        found += [causes.invalid(f"{path}.{key}", text, why) for why in names.path_segment(text)]
    version = target.get("apiVersion") or ""
    if path == "spec.scaleTargetRef" and version != "v1" and not version.partition("/")[2]:
        found.append(causes.invalid(f"{path}.apiVersion", version, "apiVersion must specify API group"))
    return found


def _target(target: Object, path: str) -> list[Cause]:
    """What is wrong with a MetricTarget."""
    kind, found = target.get("type") or "", list[Cause]()
    if not kind:
        found.append(causes.required(f"{path}.type", "must specify a metric target type"))
    if kind not in {"Utilization", "Value", "AverageValue"}:
        found.append(causes.invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for key in ("value", "averageValue"):
        if target.get(key) is not None and amount(target[key]) <= 0:
            found.append(causes.invalid(f"{path}.{key}", target[key], "must be positive"))
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        found.append(causes.invalid(f"{path}.averageUtilization", share, "must be greater than 0"))
    return found


class OldAutoscalerStrategy(BuiltinStrategy):
    """HorizontalPodAutoscalers of autoscaling/v1."""

    has_status = True

    def default(self, obj: Object) -> None:
        spec = child(obj, "spec")
        spec.setdefault("minReplicas", 1)
        spec.setdefault("targetCPUUtilizationPercentage", 80)

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        return AutoscalerStrategy().validate(to_new_autoscaler(obj), request)


def _is_share_of_cpu(metric: Object) -> bool:
    found = (dig(metric, "resource", "name"), dig(metric, "resource", "target", "type"))
    return found == ("cpu", "Utilization")


# Where v1 keeps what it has no fields for (pkg/apis/autoscaling/annotations.go).
_METRICS, _BEHAVIOR = "autoscaling.alpha.kubernetes.io/metrics", "autoscaling.alpha.kubernetes.io/behavior"


def to_old_autoscaler(obj: Object) -> Object:
    """An autoscaling/v2 HorizontalPodAutoscaler as autoscaling/v1."""
    made: Object = {**clone(obj), "apiVersion": "autoscaling/v1"}
    spec = made["spec"]
    metrics = spec.pop("metrics", None) or []
    cpu = next((metric for metric in metrics if _is_share_of_cpu(metric)), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"].get("averageUtilization")
    kept = {_METRICS: [metric for metric in metrics if metric is not cpu], _BEHAVIOR: spec.pop("behavior", None)}
    for key, value in kept.items():
        if value:
            child(made["metadata"], "annotations")[key] = causes.go_json(value)
    status = made.get("status") or {}
    made["status"] = {
        key: status[key] for key in ("observedGeneration", "lastScaleTime") if status.get(key) is not None
    } | {key: status.get(key) or 0 for key in ("currentReplicas", "desiredReplicas")}
    return made


def to_new_autoscaler(obj: Object) -> Object:
    """An autoscaling/v1 HorizontalPodAutoscaler as autoscaling/v2."""
    made: Object = {**clone(obj), "apiVersion": "autoscaling/v2"}
    spec, notes = made["spec"], made["metadata"].get("annotations") or {}
    share = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = json.loads(notes.pop(_METRICS, "[]"))
    if share is not None:
        target = {"type": "Utilization", "averageUtilization": share}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    behavior = json.loads(notes.pop(_BEHAVIOR, "null"))
    if behavior:
        spec["behavior"] = behavior
    if not notes:
        made["metadata"].pop("annotations", None)
    status = made.get("status") or {}
    status.pop("currentCPUUtilizationPercentage", None)
    if not status.get("currentReplicas"):
        status.pop("currentReplicas", None)
    made["status"] = {"desiredReplicas": 0, "currentMetrics": None, **status}
    return made
