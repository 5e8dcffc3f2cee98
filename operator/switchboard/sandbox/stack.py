"""The pieces put together on one machine: cluster, Twilio simulator, operator. The demo and the tests use it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml

from switchboard.api import crd
from switchboard.kube import resources
from switchboard.kube.client import Changed, KubeApi, Synced, connect
from switchboard.kube.errors import Conflict, NotFound, TooManyRequests, Unavailable
from switchboard.kube.resources import CRDS, ResourceType
from switchboard.reconcile.permissions import webhook_cluster_role
from switchboard.sandbox.processes import Guard, Process, ProcessFailed, free_port, tail
from switchboard.sandbox.twilio.control import Control

MANAGER = "switchboard-sandbox"
Manifest = dict[str, Any]
T = TypeVar("T")

CLUSTER_ROLES = ResourceType("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
_TYPES = {
    (kind.api_version, kind.kind): kind
    for kind in (*vars(resources).values(), CLUSTER_ROLES)
    if isinstance(kind, ResourceType)
}


class NotInTime(Exception):
    """What was waited for did not come. The message says how things stood instead."""


def manifests(*paths: Path) -> list[Manifest]:
    """The objects of YAML files, or of a folder's (kustomization.yaml left out), in the files' order."""
    files = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    ordered = sorted(files, key=lambda file: file.name != "namespace.yaml")
    texts = [file.read_text(encoding="utf-8") for file in ordered if file.name != "kustomization.yaml"]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


@dataclass
class Cluster:
    """A Kubernetes cluster whose pods run as processes of this machine."""

    kubeconfig: Path
    router: str
    """URL that leads to its Ingresses and Services."""
    process: Process | None
    """The embedded cluster, or the node that joined another one; None where somebody else runs that."""


@asynccontextmanager
async def cluster(
    directory: Path, kubeconfig: Path | None = None, *, options: Sequence[str] = (), guard: Guard | None = None
) -> AsyncIterator[Cluster]:
    """The embedded cluster; or, with a kubeconfig, that cluster and a local node that joins it.

    Args:
        directory: Where logs, the kubeconfig and the pods' files are put.
        kubeconfig: Another cluster's.
        options: More arguments of `python -m kubesandbox`.
        guard: Told of the process.

    Raises:
        ProcessFailed: it did not become ready.
    """
    target = kubeconfig or directory / "kubeconfig"
    router = free_port()
    command = [sys.executable, "-m", "kubesandbox", *(["node"] if kubeconfig else ["--port", "0"])]
    command += ["--kubeconfig", str(target), "--router-port", str(router)]
    # What the pods had to do is in the log, which ends with the cluster: nobody waits for them at the end.
    command += ["--stop-seconds", "0", *options]
    process = Process("kubesandbox", command, directory / "kubesandbox.log")
    try:
        await _start(process, guard)
        await process.first_line()
        yield Cluster(target, f"http://127.0.0.1:{router}", process)
    finally:
        await process.stop()


@asynccontextmanager
async def simulator(directory: Path, *, guard: Guard | None = None) -> AsyncIterator[tuple[str, Control]]:
    """The Twilio simulator as a process: its URL, and what steers it."""
    process = Process(
        "twilio", [sys.executable, "-m", "switchboard.sandbox.twilio", "--port", "0"], directory / "twilio.log"
    )
    try:
        await _start(process, guard)
        ready = await process.first_line()
        url = re.search(r"http://[\w.:]+", ready)
        if url is None:
            raise ProcessFailed(f"the Twilio simulator did not name its address: {ready}")
        async with Control(url[0]) as control:
            yield url[0], control
    finally:
        await process.stop()


@asynccontextmanager
async def operator(
    directory: Path, environment: Mapping[str, str], *, name: str = "operator", guard: Guard | None = None
) -> AsyncIterator[Process]:
    """The operator as a process, once it is ready."""
    port = free_port()
    process = Process(
        name,
        [sys.executable, "-m", "switchboard", "operator"],
        directory / f"{name}.log",
        {"SWITCHBOARD_HEALTH_PORT": str(port), "SWITCHBOARD_IMAGE_PULL_POLICY": "Never", **environment},
    )
    try:
        await _start(process, guard)
        await _answers(process, f"http://127.0.0.1:{port}/readyz")
        yield process
    finally:
        await process.stop()


async def _start(process: Process, guard: Guard | None) -> None:
    await process.start()
    if guard is not None:
        guard.watch(process)


async def _answers(process: Process, url: str, timeout: float = 30) -> None:  # noqa: ASYNC109
    """Waits until a URL answers 200: a port that is not open yet can only be asked again."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while process.running and loop.time() < deadline:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
    state = "was not ready in time" if process.running else "ended"
    raise ProcessFailed(f"{process.name} {state}:\n{tail(process.log)}")


@dataclass
class Kubectl:
    """What `kubectl apply`, `get` and `wait` do, as far as the demo and the tests need them."""

    api: KubeApi
    kubeconfig: Path

    async def apply(self, objects: Iterable[Manifest]) -> list[Manifest]:
        """Applies manifests in order."""
        results = []
        for manifest in objects:
            kind = _TYPES[manifest["apiVersion"], manifest["kind"]]
            results.append(await _patiently(partial(self.api.apply, kind, manifest, manager=MANAGER)))
        return results

    async def delete_namespace(self, name: str) -> None:
        """Asks for a namespace's deletion; whether it is gone can be seen by `until(…, gone=True)`."""
        await _patiently(partial(self.api.delete, resources.NAMESPACES, name))

    async def install(self) -> None:
        """Installs the CRDs and the webhooks' role, and waits until the kinds are served.

        Raises:
            NotInTime: a kind was not established in time.
            TimeoutError: a kind was not served in time.
        """
        definitions = [crd.definition(kind) for kind in crd.KINDS]
        for definition in definitions:
            await _patiently(partial(self.api.apply, CRDS, definition, manager=MANAGER))
        await self.apply([webhook_cluster_role()])
        for definition in definitions:
            await self.until(CRDS, definition["metadata"]["name"], _established)
        async with asyncio.timeout(60):
            for definition in definitions:
                await self._served(definition)

    async def _served(self, definition: Manifest) -> None:
        """Returns once the kind's path is there: an API server says Established a moment before it is."""
        spec = definition["spec"]
        group, version, names = spec["group"], spec["versions"][0]["name"], spec["names"]
        kind = ResourceType(group, version, names["plural"], names["kind"])
        while True:
            with suppress(NotFound):
                await _patiently(partial(self.api.list, kind, "default", metadata_only=True))
                return
            await asyncio.sleep(0.1)

    async def until(
        self,
        kind: ResourceType,
        name: str,
        holds: Callable[[Manifest], bool],
        namespace: str | None = None,
        *,
        timeout: float = 60,  # noqa: ASYNC109
        gone: bool = False,
    ) -> Manifest:
        """The object, as soon as `holds` is true of it; with `gone`, its last state once it is deleted.

        Raises:
            NotInTime: not within `timeout` seconds; the message holds the object's status.
        """
        last: Manifest = {}
        try:
            async with asyncio.timeout(timeout):
                watch = self.api.watch(kind, namespace, field_selector=f"metadata.name={name}")
                async for event in watch:
                    match event:
                        case Synced(items=items) if not items and gone:
                            return last
                        case Synced(items=items):
                            last = items[0] if items else last
                        case Changed(kind="DELETED") if gone:
                            return last
                        case Changed(object=changed):
                            last = changed
                    if last and not gone and holds(last):
                        return last
        except TimeoutError:
            raise NotInTime(f"{kind.kind} {name} is not as it should be after {timeout:g} s: {_state(last)}") from None
        raise NotInTime(f"the watch of {kind.plural} ended")


async def _patiently(request: Callable[[], Awaitable[T]]) -> T:
    """Asks again what may be asked twice while the API server is busy, away, or was quicker with somebody else's write.

    Raises:
        KubeError: it was refused for good, or ten times.
    """
    for attempt in range(10):
        try:
            return await request()
        except (Conflict, TooManyRequests, Unavailable):
            await asyncio.sleep(0.05 * 2 ** min(attempt, 5))
    return await request()


def _state(manifest: Manifest) -> str:
    """How an object stands, for people: its conditions, or else its status as it is."""
    if not manifest:
        return "it does not exist"
    conditions = manifest.get("status", {}).get("conditions", [])
    lines = [f"\n  {it['type']}={it['status']} {it.get('reason', '')}: {it.get('message', '')}" for it in conditions]
    return "".join(lines) or json.dumps(manifest.get("status", {}), default=str)[:2000]


def condition(manifest: Manifest, name: str) -> Manifest:
    """One condition of an object's status, or an empty dict."""
    conditions: list[Manifest] = manifest.get("status", {}).get("conditions", [])
    return next((entry for entry in conditions if entry.get("type") == name), {})


def reason(manifest: Manifest, name: str = "Ready") -> str:
    """The reason of one condition, or an empty string."""
    return str(condition(manifest, name).get("reason", ""))


def _established(manifest: Manifest) -> bool:
    return condition(manifest, "Established").get("status") == "True"


@asynccontextmanager
async def kubectl(kubeconfig: Path) -> AsyncIterator[Kubectl]:
    """A client of a cluster."""
    async with AsyncExitStack() as stack:
        api = await connect(kubeconfig=kubeconfig)
        stack.push_async_callback(api.close)
        yield Kubectl(api, kubeconfig)
