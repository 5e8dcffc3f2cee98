"""EndpointSlices and Endpoints of Services with a selector."""

from kubesandbox.client import ApiError, Change, Key, Object
from kubesandbox.client.resources import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES, key_of
from kubesandbox.client.selectors import matches
from kubesandbox.controllers import slices
from kubesandbox.controllers.loop import Queue, Shared, work


class EndpointSlices:
    def __init__(self, shared: Shared) -> None:
        self._client = shared.client
        self._services, self._pods = shared.cache(SERVICES), shared.cache(PODS)
        self._slices, self._endpoints = shared.cache(ENDPOINT_SLICES), shared.cache(ENDPOINTS)
        self._queue = Queue()
        self._services.listen(lambda change: self._queue.add(key_of(change.current)))
        self._pods.listen(self._pod_changed)
        self._slices.listen(self._slice_changed)

    async def run(self) -> None:
        await work("service", self._queue, self._reconcile)

    def _pod_changed(self, change: Change) -> None:
        sides = [pod for pod in (change.old, change.new) if pod is not None]
        for service in self._services.all(sides[0]["metadata"]["namespace"]):
            selector = service["spec"].get("selector")
            if selector and any(matches({"matchLabels": selector}, pod["metadata"].get("labels")) for pod in sides):
                self._queue.add(key_of(service))

    def _slice_changed(self, change: Change) -> None:
        metadata = change.current["metadata"]
        labels = metadata.get("labels") or {}
        if labels.get(slices.MANAGED_BY) == slices.CONTROLLER and slices.SERVICE_NAME in labels:
            self._queue.add((metadata["namespace"], labels[slices.SERVICE_NAME]))

    async def _reconcile(self, key: Key) -> None:
        service = self._services.get(*key)
        if service is None or not slices.has_endpoints(service):
            return
        pods = list(self._pods.all(key[0]))
        changes = slices.changes(service, pods, self._held(key))
        for wanted in changes.create:
            self._slices.remember(await self._client.create(ENDPOINT_SLICES, wanted))
        for held, patch in changes.update:
            self._slices.remember(await self._client.patch(ENDPOINT_SLICES, *key_of(held), patch))
        for held in changes.delete:
            await self._client.delete(ENDPOINT_SLICES, *key_of(held))
            self._slices.forget(held)
        await self._write_endpoints(service, slices.endpoints_subsets(service, pods))

    def _held(self, key: Key) -> list[Object]:
        wanted = {slices.SERVICE_NAME: key[1], slices.MANAGED_BY: slices.CONTROLLER}
        return [
            obj
            for obj in self._slices.all(key[0])
            if wanted.items() <= (obj["metadata"].get("labels") or {}).items()
            and not obj["metadata"].get("deletionTimestamp")
        ]

    async def _write_endpoints(self, service: Object, subsets: list[Object]) -> None:
        key = key_of(service)
        held = self._endpoints.get(*key)
        if held is None:
            metadata = {"name": key[1], "namespace": key[0], "labels": service["metadata"].get("labels") or {}}
            try:
                self._endpoints.remember(
                    await self._client.create(ENDPOINTS, {"metadata": metadata, "subsets": subsets})
                )
            except ApiError as error:
                if not error.already_exists:
                    raise
        elif (held.get("subsets") or []) != subsets:
            self._endpoints.remember(await self._client.patch(ENDPOINTS, *key, {"subsets": subsets or None}))
