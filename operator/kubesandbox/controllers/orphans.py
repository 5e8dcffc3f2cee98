"""Pods of Nodes that are gone: removed, so that their controllers make others elsewhere."""

from kubesandbox.client import ApiError, Change, Key, Object
from kubesandbox.client.resources import NODES, PODS, key_of
from kubesandbox.controllers import pods as about
from kubesandbox.controllers.loop import Queue, Shared, work

QUARANTINE_SECONDS = 40.0
"""How long kube-controller-manager waits for the Node to come back."""


class OrphanedPods:
    def __init__(self, shared: Shared) -> None:
        self._client = shared.client
        self._pods, self._nodes = shared.cache(PODS), shared.cache(NODES)
        self._queue = Queue()
        self._pods.listen(self._pod_changed)
        self._nodes.listen(self._node_changed)

    async def run(self) -> None:
        await work("node", self._queue, self._reconcile)

    def _pod_changed(self, change: Change) -> None:
        node = change.new["spec"].get("nodeName") if change.new is not None else None
        if node and self._nodes.get("", node) is None:
            self._queue.add_after(("", node), QUARANTINE_SECONDS)

    def _node_changed(self, change: Change) -> None:
        if change.new is None:
            self._queue.add_after(key_of(change.current), QUARANTINE_SECONDS)

    async def _reconcile(self, key: Key) -> None:
        if self._nodes.get(*key) is not None or await self._is_there(key):
            return
        for pod in self._pods.all():
            if pod["spec"].get("nodeName") == key[1]:
                await self._remove(pod)

    async def _is_there(self, key: Key) -> bool:
        try:
            await self._client.get(NODES, *key)
        except ApiError as error:
            if error.not_found:
                return False
            raise
        return True

    async def _remove(self, pod: Object) -> None:
        metadata = pod["metadata"]
        try:
            if about.phase(pod) not in {"Succeeded", "Failed"}:
                wanted = {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "lastProbeTime": None,
                    "lastTransitionTime": about.format_time(about.now()),
                    "reason": "DeletionByPodGC",
                    "message": "PodGC: node no longer exists",
                }
                held = (pod.get("status") or {}).get("conditions") or []
                status = {"phase": "Failed", "conditions": about.set_condition(held, wanted)}
                patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
                await self._client.patch(PODS, *key_of(pod), patch, subresource="status")
            await self._client.delete(PODS, *key_of(pod), uid=metadata["uid"], grace_seconds=0)
        except ApiError as error:
            if not error.not_found:
                raise
