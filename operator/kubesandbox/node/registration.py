"""The Node object: made at the start, kept alive by a Lease and by its conditions, removed at the end."""

import asyncio
import contextlib
import datetime as dt
import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from kubesandbox.client import ApiError, Client, Object
from kubesandbox.client.resources import LEASES, NODES
from kubesandbox.node.status import moment

log = logging.getLogger(__name__)

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
STATUS_SECONDS = 300.0
JOIN_SECONDS = 30.0
REMOVE_SECONDS = 2.0
PROMISED = 64
"""How many times the machine's cores and memory a node offers: requests, which schedulers count, reserve nothing."""
LABEL = "kubesandbox.dev/runtime"
"""Marks the nodes of which the pods are local processes: the router maps only these nodes' pod addresses."""


class NodeNameTakenError(Exception):
    """Another node of this name is at work."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the Node object says of this machine."""

    name: str
    address: str
    kubelet_port: int
    pod_cidr: str
    pods: int
    taints: tuple[Object, ...] = ()

    @property
    def capacity(self) -> dict[str, str]:
        """What the machine has: what a resourceFieldRef without a limit gives."""
        return self._resources(1)

    @property
    def allocatable(self) -> dict[str, str]:
        """What a scheduler may give away."""
        return self._resources(PROMISED)

    def _resources(self, times: int) -> dict[str, str]:
        return {
            "cpu": str((os.cpu_count() or 1) * times),
            "memory": f"{_memory_kibibytes() * times}Ki",
            "ephemeral-storage": f"{10 * times}Gi",
            "pods": str(self.pods),
        }


class Registration:
    """Keeps the Node and its Lease until cancelled."""

    def __init__(self, client: Client, description: Description) -> None:
        self._client = client
        self._node = description
        self._uid = ""

    async def join(self) -> None:
        """Register, with patience for a server that is just starting or busy. Raises the last error after 30 s."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + JOIN_SECONDS
        while True:
            try:
                return await self.register()
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                refused = isinstance(error, ApiError) and error.code in {400, 401, 403, 404, 422}
                if refused or loop.time() > deadline:
                    raise
                log.debug("node not registered yet: %s", error)
            await asyncio.sleep(0.2)

    async def register(self) -> None:
        """Create the Node, or take over the one of this name, and report it Ready."""
        machine = _machine()
        labels = {
            "kubernetes.io/hostname": self._node.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": machine,
            LABEL: "process",
        }
        metadata: Object = {"name": self._node.name, "labels": labels}
        spec: Object = {"taints": list(self._node.taints)} if self._node.taints else {}
        obj: Object = {"metadata": metadata, "spec": spec, "status": self._status()}
        try:
            answer = await self._client.create(NODES, obj)
        except ApiError as error:
            if not error.already_exists:
                raise
            await self._refuse_twin()
            answer = await self._client.patch(NODES, "", self._node.name, {"metadata": {"labels": labels}})
        self._uid = answer["metadata"]["uid"]
        await self._client.patch(NODES, "", self._node.name, {"status": self._status()}, subresource="status")
        await self._renew()

    async def keep(self) -> None:
        """Renew the Lease every 10 s, and the status every 5 minutes, as a kubelet does."""
        loop = asyncio.get_running_loop()
        reported = loop.time()
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._renew()
                if loop.time() - reported >= STATUS_SECONDS:
                    await self._client.patch(
                        NODES, "", self._node.name, {"status": self._status()}, subresource="status"
                    )
                    reported = loop.time()
            except ApiError as error:
                if error.not_found:
                    with contextlib.suppress(ApiError, aiohttp.ClientError, TimeoutError):
                        await self.register()
                log.debug("heartbeat failed: %s", error)
            except (aiohttp.ClientError, TimeoutError) as error:
                log.debug("heartbeat failed: %s", error)

    async def remove(self) -> None:
        """Delete the Node, so that its pods are given to others at once. For at most two seconds."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with asyncio.timeout(REMOVE_SECONDS):
                while True:
                    try:
                        await self._client.delete(NODES, "", self._node.name, uid=self._uid)
                    except ApiError as error:
                        if error.conflict or error.code == 429 or error.code >= 500:
                            await asyncio.sleep(0.1)
                            continue
                    break

    async def _refuse_twin(self) -> None:
        """Two nodes of one name would both run its pods: refuse if the other one's kubelet still answers."""
        held = await self._client.get(NODES, "", self._node.name)
        status = held.get("status") or {}
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
        addresses = [entry["address"] for entry in status.get("addresses") or () if entry["type"] == "InternalIP"]
        if not port or not addresses or (addresses[0], port) == (self._node.address, self._node.kubelet_port):
            return
        try:
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection(addresses[0], port)
        except (OSError, TimeoutError):
            return
        writer.close()
        raise NodeNameTakenError(
            f"a node named {self._node.name} is already at work at {addresses[0]}:{port}: choose another name"
        )

    async def _renew(self) -> None:
        spec: Object = {
            "holderIdentity": self._node.name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        try:
            await self._client.patch(LEASES, LEASE_NAMESPACE, self._node.name, {"spec": spec})
        except ApiError as error:
            if not error.not_found:
                raise
            owner = {"apiVersion": "v1", "kind": "Node", "name": self._node.name, "uid": self._uid}
            metadata = {"name": self._node.name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]}
            await self._client.create(LEASES, {"metadata": metadata, "spec": spec})

    def _status(self) -> Object:
        now = moment(dt.datetime.now(dt.UTC))
        return {
            "capacity": self._node.capacity,
            "allocatable": self._node.allocatable,
            # No Hostname: kube-apiserver prefers it for logs, unless told otherwise, and no DNS knows this node.
            "addresses": [{"type": "InternalIP", "address": self._node.address}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._node.kubelet_port}},
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "reason": reason,
                    "message": message,
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }
                for kind, status, reason, message in _CONDITIONS
            ],
            "nodeInfo": {
                "architecture": _machine(),
                "bootID": _line("/proc/sys/kernel/random/boot_id"),
                "containerRuntimeVersion": "process://local",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.36.2-kubesandbox",
                "machineID": _line("/etc/machine-id"),
                "operatingSystem": "linux",
                "osImage": platform.platform(),
                "systemUUID": _line("/etc/machine-id"),
            },
        }


_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubesandbox runs pods as local processes"),
)


def inherited(environment: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """The part of the node's own environment that containers get."""
    return {name: environment[name] for name in names if name in environment}


def _machine() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _memory_kibibytes() -> int:
    pages = os.sysconf("SC_PHYS_PAGES")
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
