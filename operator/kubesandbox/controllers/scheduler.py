"""The scheduler: binds pending pods to nodes."""

from kubesandbox.client import ApiError, Change, Key, Object
from kubesandbox.client.resources import NODES, PODS, key_of
from kubesandbox.controllers import pods as about
from kubesandbox.controllers.loop import Queue, Shared, work
from kubesandbox.controllers.placement import place

NAME = "default-scheduler"


class Scheduler:
    def __init__(self, shared: Shared) -> None:
        self._client = shared.client
        self._pods, self._nodes = shared.cache(PODS), shared.cache(NODES)
        self._events = shared.recorder(NAME)
        self._queue = Queue()
        self._load: dict[str, int] = {}
        self._pods.listen(self._pod_changed)
        self._nodes.listen(self._node_changed)

    async def run(self) -> None:
        await work("pod", self._queue, self._reconcile)

    def _pod_changed(self, change: Change) -> None:
        for pod, step in ((change.old, -1), (change.new, 1)):
            if pod is not None and pod["spec"].get("nodeName") and about.is_active(pod):
                node = pod["spec"]["nodeName"]
                self._load[node] = self._load.get(node, 0) + step
        if change.new is not None and _is_ours(change.new):
            self._queue.add(key_of(change.new))
        elif change.new is None and change.old is not None:
            self._retry()

    def _node_changed(self, change: Change) -> None:
        def relevant(node: Object | None) -> object:
            status = (node or {}).get("status") or {}
            labels = (node or {"metadata": {}})["metadata"].get("labels")
            return (node or {}).get("spec"), labels, about.is_true(node or {}, "Ready"), status.get("allocatable")

        if relevant(change.old) != relevant(change.new):
            self._retry()

    def _retry(self) -> None:
        for pod in self._pods.all():
            if _is_ours(pod):
                self._queue.add(key_of(pod))

    async def _reconcile(self, key: Key) -> None:
        pod = self._pods.get(*key)
        if pod is None or not _is_ours(pod):
            return
        placement = place(pod, self._nodes.all(), self._load)
        if placement.node is None:
            await self._report(pod, placement.message)
            return
        metadata = pod["metadata"]
        binding: Object = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": placement.node},
        }
        try:
            await self._client.request("POST", PODS.path(*key, "binding"), body=binding)
        except ApiError as error:
            if error.not_found:
                return
            raise  # a conflict too: it may be bound already, which the next look at the cache tells
        message = f"Successfully assigned {key[0]}/{key[1]} to {placement.node}"
        self._events.normal(pod, "Scheduled", message)

    async def _report(self, pod: Object, message: str) -> None:
        """Say why it waits; it is looked at again when a node or another pod changes."""
        self._events.warning(pod, "FailedScheduling", message)
        held = about.condition(pod, "PodScheduled")
        if held is not None and held["status"] == "False" and held.get("message") == message:
            return
        wanted = {
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": (held or {}).get("lastTransitionTime") or about.format_time(about.now()),
            "reason": "Unschedulable",
            "message": message,
        }
        others = [c for c in (pod.get("status") or {}).get("conditions") or () if c["type"] != "PodScheduled"]
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [*others, wanted]}}
        self._pods.remember(await self._client.patch(PODS, *key_of(pod), patch, subresource="status"))


def _is_ours(pod: Object) -> bool:
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and spec.get("schedulerName", NAME) == NAME
        and not spec.get("schedulingGates")
        and about.is_active(pod)
    )
