"""What a test of the node works with: a namespace on a cluster, and words to wait with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import aiohttp
from tests.patient import is_passing

from kubesandbox.client import ApiError, Client, Object, Resource
from kubesandbox.client.resources import DEPLOYMENTS, EVENTS, JOBS, PODS
from kubesandbox.node import Node

PYTHON_SERVER = ["python", "-u", "-m", "http.server", "--bind", "$(POD_IP)", "8080"]
POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
TAINT = {"key": "kubesandbox.dev/test", "effect": "NoSchedule"}
"""Keeps pods of other tests from a node that goes when its test ends."""
SECONDS = 60.0


@dataclass
class World:
    """One test's namespace on a cluster with a node."""

    client: Client
    node: Node
    namespace: str
    session: aiohttp.ClientSession

    async def create(self, resource: Resource, name: str, **body: object) -> Object:
        obj: Object = {"metadata": {"name": name, "namespace": self.namespace}, **body}
        if resource in (PODS, DEPLOYMENTS, JOBS):
            spec = obj["spec"] if resource is PODS else obj["spec"]["template"]["spec"]
            if "nodeName" not in spec:  # a named cluster has other nodes, some of other tests that are about to end
                spec.setdefault("nodeSelector", {"kubernetes.io/hostname": self.node.name})
                spec.setdefault("tolerations", [{"key": TAINT["key"], "operator": "Exists"}])
        return await self.client.create(resource, obj)

    async def get(self, resource: Resource, name: str) -> Object:
        return await self.client.get(resource, self.namespace, name)

    async def list(self, resource: Resource, **labels: str) -> list[Object]:
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        selectors = {"labelSelector": selector} if selector else None
        return (await self.client.list(resource, self.namespace, selectors=selectors))[0]

    async def until(self, resource: Resource, name: str, holds: Callable[[Object], object]) -> Object:
        """Watch one object until `holds` is true of it; the last state is in the failure's text."""
        last: Object | None = None
        try:
            async with asyncio.timeout(SECONDS), aclosing(self._states(resource, f"metadata.name={name}")) as states:
                async for state in states:
                    last = state or last
                    if state is not None and holds(state):
                        return state
        except TimeoutError:
            pass
        raise AssertionError(f"{resource.kind} {name} did not get there: {last and last.get('status')}")

    async def gone(self, resource: Resource, name: str) -> None:
        async with asyncio.timeout(SECONDS), aclosing(self._states(resource, f"metadata.name={name}")) as states:
            async for state in states:
                if state is None:
                    return

    async def _states(self, resource: Resource, field_selector: str) -> AsyncGenerator[Object | None]:
        """What a selector finds, now and whenever it changes; None while there is nothing."""
        selectors = {"fieldSelector": field_selector}
        while True:
            items, version = await self.client.list(resource, self.namespace, selectors=selectors)
            for item in items or [None]:
                yield item
            try:
                async for event, obj in self.client.watch(
                    resource, self.namespace, resource_version=version, selectors=selectors
                ):
                    if event in {"ADDED", "MODIFIED"}:
                        yield obj
                    elif event == "DELETED":
                        yield None
            except ApiError as error:
                if not error.expired and not is_passing(error):
                    raise
            except aiohttp.ClientError:
                pass  # the connection broke: look again

    async def pods(self) -> AsyncGenerator[dict[str, Object]]:
        """The namespace's pods by UID, now and after each change; what a watch lost is listed."""
        while True:
            items, version = await self.client.list(PODS, self.namespace)
            pods = {pod["metadata"]["uid"]: pod for pod in items}
            yield pods
            try:
                async for event, pod in self.client.watch(PODS, self.namespace, resource_version=version):
                    if event in {"ADDED", "MODIFIED"}:
                        pods[pod["metadata"]["uid"]] = pod
                    elif event == "DELETED":
                        pods.pop(pod["metadata"]["uid"], None)
                    yield pods
            except ApiError as error:
                if not error.expired and not is_passing(error):
                    raise
            except aiohttp.ClientError:
                pass  # the connection broke: look again

    async def pod(self, name: str, command: list[str], *, container: Object | None = None, **spec: object) -> Object:
        body = {"name": "main", "image": "none", "command": command, **(container or {})}
        whole = {"containers": [body], "terminationGracePeriodSeconds": 5, **spec}
        return await self.create(PODS, name, spec=whole)

    async def deployment(
        self, name: str, command: list[str], *, container: Object | None = None, grace: int = 5, **spec: object
    ) -> Object:
        body = {"name": "main", "image": "none", "command": command, "env": [POD_IP], **(container or {})}
        template = {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [body], "terminationGracePeriodSeconds": grace},
        }
        whole = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
        return await self.create(DEPLOYMENTS, name, spec=whole)

    async def available(self, name: str, count: int) -> Object:
        def settled(obj: Object) -> bool:
            status = obj.get("status") or {}
            counts = [status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")]
            return status.get("observedGeneration") == obj["metadata"]["generation"] and counts == [count] * 3

        return await self.until(DEPLOYMENTS, name, settled)

    @asynccontextmanager
    async def open_log(self, pod: str, **query: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The log as it comes, asked for again while the API server is busy."""
        while True:
            async with self.client.open(PODS.path(self.namespace, pod, "log"), params=query) as response:
                if response.status == 429 or response.status >= 500:
                    continue
                yield response
                return

    async def log(self, pod: str, **query: str) -> str:
        async with self.open_log(pod, **query) as response:
            return await response.text()

    async def log_until(self, pod: str, last: str) -> list[str]:
        """Follow the log up to the line `last`."""
        lines: list[str] = []
        async with asyncio.timeout(SECONDS), self.open_log(pod, follow="true") as response:
            async for line in response.content:
                lines.append(line.decode().rstrip("\n"))
                if lines[-1] == last:
                    return lines
        raise AssertionError(f"the log of {pod} ended without {last!r}: {lines}")

    async def event(self, about: str, reason: str) -> Object:
        """The first Event of this reason, waited for."""
        selector = f"involvedObject.name={about},reason={reason}"
        async with asyncio.timeout(SECONDS), aclosing(self._states(EVENTS, selector)) as states:
            async for state in states:
                if state is not None:
                    return state
        raise AssertionError(f"no {reason} Event of {about}")


def phase(obj: Object) -> str:
    return str((obj.get("status") or {}).get("phase", ""))


def running(obj: Object) -> bool:
    return phase(obj) == "Running"


def condition(obj: Object, kind: str) -> Object:
    for held in (obj.get("status") or {}).get("conditions") or ():
        if held["type"] == kind:
            return dict(held)
    return {}


def state_of(obj: Object, field: str = "containerStatuses") -> Object:
    statuses = (obj.get("status") or {}).get(field) or [{}]
    return dict(statuses[0].get("state") or {})


def restarts(obj: Object) -> int:
    statuses = (obj.get("status") or {}).get("containerStatuses") or [{"restartCount": 0}]
    return int(statuses[0]["restartCount"])


def waiting_reason(obj: Object) -> str:
    return str((state_of(obj).get("waiting") or {}).get("reason", ""))
