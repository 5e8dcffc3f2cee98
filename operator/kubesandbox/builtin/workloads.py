"""Kinds with a spec that is counted in generations."""

from __future__ import annotations

from kubesandbox.strategy import Strategy


class PlainSpecStrategy(Strategy):
    """A spec, its generations, and no status."""

    counts_generations = True


class SpecStrategy(Strategy):
    """A spec, its generations, and a status."""

    counts_generations = True
    has_status = True


class DeploymentStrategy(SpecStrategy):
    """Deployments."""


class ReplicaSetStrategy(SpecStrategy):
    """ReplicaSets."""


class JobStrategy(SpecStrategy):
    """Jobs."""


class IngressStrategy(SpecStrategy):
    """Ingresses."""


class AutoscalerStrategy(Strategy):
    """HorizontalPodAutoscalers."""

    has_status = True
