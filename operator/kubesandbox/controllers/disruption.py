"""PodDisruptionBudgets: how many pods may be evicted now. The decision is pure; evictions are the API server's."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kubesandbox.client import Change, Key, Object, owner_of
from kubesandbox.client.resources import DEPLOYMENTS, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS, key_of
from kubesandbox.client.selectors import matches
from kubesandbox.controllers import pods as about
from kubesandbox.controllers.loop import Queue, Shared, work


@dataclass(frozen=True, slots=True)
class Budget:
    expected: int
    healthy: int
    desired: int

    @property
    def allowed(self) -> int:
        return max(0, self.healthy - self.desired) if self.expected else 0


def budget(pdb: Object, pods: Sequence[Object], scale: int) -> Budget:
    """Counts for these pods. `scale`: the replicas that their controllers are asked for."""
    spec = pdb["spec"]
    healthy = sum(1 for pod in pods if about.is_active(pod) and about.is_ready(pod))
    if spec.get("maxUnavailable") is not None:
        return Budget(scale, healthy, max(0, scale - _of(spec["maxUnavailable"], scale)))
    minimum = spec.get("minAvailable", 1)
    expected = scale if isinstance(minimum, str) else len(pods)
    return Budget(expected, healthy, _of(minimum, expected))


def status(pdb: Object, counted: Budget) -> Object:
    """The status to report."""
    enough = counted.allowed > 0
    reason = "SufficientPods" if enough else "InsufficientPods"
    wanted = {
        "type": "DisruptionAllowed",
        "status": "True" if enough else "False",
        "reason": reason,
        "message": "",
        "lastTransitionTime": about.format_time(about.now()),
        "observedGeneration": pdb["metadata"].get("generation", 0),
    }
    return {
        "expectedPods": counted.expected,
        "currentHealthy": counted.healthy,
        "desiredHealthy": counted.desired,
        "disruptionsAllowed": counted.allowed,
        "observedGeneration": pdb["metadata"].get("generation", 0),
        "conditions": about.set_condition((pdb.get("status") or {}).get("conditions") or [], wanted),
    }


class Disruptions:
    def __init__(self, shared: Shared) -> None:
        self._client = shared.client
        self._budgets, self._pods = shared.cache(POD_DISRUPTION_BUDGETS), shared.cache(PODS)
        self._sets, self._deployments = shared.cache(REPLICA_SETS), shared.cache(DEPLOYMENTS)
        self._queue = Queue()
        self._budgets.listen(lambda change: self._queue.add(key_of(change.current)))
        for cache in (self._pods, self._sets, self._deployments):
            cache.listen(self._changed)

    async def run(self) -> None:
        await work("poddisruptionbudget", self._queue, self._reconcile)

    def _changed(self, change: Change) -> None:
        for pdb in self._budgets.all(change.current["metadata"]["namespace"]):
            self._queue.add(key_of(pdb))

    async def _reconcile(self, key: Key) -> None:
        pdb = self._budgets.get(*key)
        if pdb is None:
            return
        selector = pdb["spec"].get("selector")
        pods = [
            pod
            for pod in self._pods.all(key[0])
            if about.phase(pod) not in {"Succeeded", "Failed"} and matches(selector, pod["metadata"].get("labels"))
        ]
        wanted = status(pdb, budget(pdb, pods, self._scale(key[0], pods)))
        held = pdb.get("status") or {}
        if any(held.get(name) != value for name, value in wanted.items()):
            patch = {"metadata": {"uid": pdb["metadata"]["uid"]}, "status": wanted}
            self._budgets.remember(await self._client.patch(POD_DISRUPTION_BUDGETS, *key, patch, subresource="status"))

    def _scale(self, namespace: str, pods: Iterable[Object]) -> int:
        """What the pods' Deployments, or ReplicaSets without one, are asked for."""
        sizes: dict[str, int] = {}
        for pod in pods:
            owner = owner_of(pod)
            top = self._sets.get(namespace, owner["name"]) if owner and owner["kind"] == "ReplicaSet" else None
            parent = owner_of(top) if top is not None else None
            if parent is not None and parent["kind"] == "Deployment":
                top = self._deployments.get(namespace, parent["name"]) or top
            if top is not None:
                sizes[top["metadata"]["uid"]] = top["spec"].get("replicas", 1)
        return sum(sizes.values())


def _of(value: int | str, whole: int) -> int:
    rounding: Callable[[float], int] = math.ceil
    if isinstance(value, str) and value.endswith("%"):
        return rounding(whole * int(value[:-1]) / 100)
    return int(value)
