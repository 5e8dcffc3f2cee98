"""What the router knows of the cluster, kept by watches; and what it tells: each Ingress's address."""

import asyncio
import itertools
import logging

import aiohttp

from kubesandbox.client import ApiError, Cache, Change, Client, Object
from kubesandbox.client.resources import ENDPOINT_SLICES, INGRESSES, NODES, SERVICES, key_of
from kubesandbox.node.addresses import local
from kubesandbox.node.registration import LABEL
from kubesandbox.node.router.table import Backend, Rule, addresses, rules, service_host, split_host

log = logging.getLogger(__name__)

SERVICE_NAME = "kubernetes.io/service-name"
INGRESS_CLASS = "kubesandbox"


class Directory:
    """Finds the Service of a request, and where its pods listen."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._services, self._ingresses = Cache(client, SERVICES), Cache(client, INGRESSES)
        self._slices = Cache(client, ENDPOINT_SLICES)
        # Only a kubesandbox node's pods listen on loopback; other nodes' pods are reached as they are announced.
        self._nodes = Cache(client, NODES, selectors={"labelSelector": LABEL})
        self._rules: list[Rule] | None = None
        self._by_service: dict[tuple[str, str], dict[str, Object]] = {}
        self._turn = itertools.count()
        self._unannounced: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._ingresses.listen(self._ingress_changed)
        self._slices.listen(self._slice_changed)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for cache in self._caches:
                group.create_task(cache.run())
            group.create_task(self._announce())

    async def synced(self) -> None:
        for cache in self._caches:
            await cache.synced.wait()

    def backend(self, host_header: str, path: str) -> Backend | None:
        """The Service that a request is for."""
        host, port = split_host(host_header)
        service = service_host(host, port)
        if service is not None:
            return service
        if self._rules is None:
            self._rules = rules(self._ingresses.all())
        return next((rule.backend for rule in self._rules if rule.fits(host, path)), None)

    def service(self, backend: Backend) -> Object | None:
        return self._services.get(backend.namespace, backend.service)

    def endpoints(self, backend: Backend) -> list[tuple[str, int]]:
        """Addresses to connect to, in the order in which to try them: each call begins with the next one."""
        service = self.service(backend)
        if service is None:
            return []
        held = self._by_service.get((backend.namespace, backend.service), {})
        found = sorted(addresses(backend, service, held.values()))
        reachable = [
            (local(address) if self._nodes.get("", node) is not None else address, port)
            for address, port, node in found
        ]
        if not reachable:
            return []
        first = next(self._turn) % len(reachable)
        return reachable[first:] + reachable[:first]

    @property
    def _caches(self) -> tuple[Cache, ...]:
        return self._services, self._ingresses, self._slices, self._nodes

    def _ingress_changed(self, change: Change) -> None:
        self._rules = None
        if change.new is not None and _is_ours(change.new) and not _has_address(change.new):
            self._unannounced.put_nowait(key_of(change.new))

    def _slice_changed(self, change: Change) -> None:
        metadata = change.current["metadata"]
        service = (metadata.get("labels") or {}).get(SERVICE_NAME)
        if service is None:
            return
        held = self._by_service.setdefault((metadata["namespace"], service), {})
        if change.new is None:
            held.pop(metadata["name"], None)
        else:
            held[metadata["name"]] = change.new

    async def _announce(self) -> None:
        """Write status.loadBalancer of Ingresses that are the router's to serve."""
        status = {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}}
        while True:
            namespace, name = await self._unannounced.get()
            try:
                await self._client.patch(INGRESSES, namespace, name, status, subresource="status")
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                if isinstance(error, ApiError) and error.not_found:
                    continue
                log.debug("Ingress %s/%s: its status is not written yet: %s", namespace, name, error)
                await asyncio.sleep(1)
                self._unannounced.put_nowait((namespace, name))


def _is_ours(ingress: Object) -> bool:
    """Another class's controller writes its own address; its rules are served here none the less."""
    return (ingress.get("spec") or {}).get("ingressClassName") in (None, INGRESS_CLASS)


def _has_address(ingress: Object) -> bool:
    return bool(((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress"))
