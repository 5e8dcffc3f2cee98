"""PodDisruptionBudgets and HorizontalPodAutoscalers."""

from __future__ import annotations

from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.builtin.workloads import validate_selector
from kubesandbox.objects import Object, child
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request


class DisruptionBudgetStrategy(BuiltinStrategy):
    """PodDisruptionBudgets."""

    counts_generations = True
    has_status = True

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        spec = obj.get("spec") or {}
        found: list[Cause] = []
        if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
            text = "minAvailable and maxUnavailable cannot be both set"
            found.append(causes.invalid("spec", spec, text))
        for key in ("minAvailable", "maxUnavailable"):
            value = spec.get(key)
            if isinstance(value, int) and value < 0:
                found.append(causes.invalid(f"spec.{key}", value, "must be greater than or equal to 0"))
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

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        spec = obj["spec"]
        found: list[Cause] = []
        least, most = spec["minReplicas"], spec.get("maxReplicas") or 0
        if least < 1:
            found.append(causes.invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
        if most < 1:
            found.append(causes.invalid("spec.maxReplicas", most, "must be greater than 0"))
        if most < least:
            text = "must be greater than or equal to `minReplicas`"
            found.append(causes.invalid("spec.maxReplicas", most, text))
        target = spec.get("scaleTargetRef") or {}
        found += [causes.required(f"spec.scaleTargetRef.{key}") for key in ("kind", "name") if not target.get(key)]
        return found
