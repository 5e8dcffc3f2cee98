"""The node itself: registers, takes the pods that are bound to it, and takes everything along when it ends."""

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from kubesandbox.client import Cache, Change, Client, Object, Recorder, Resource
from kubesandbox.client.resources import PODS
from kubesandbox.node.addresses import ADDRESSES, Addresses, check_loopback
from kubesandbox.node.container import ContainerRunner
from kubesandbox.node.environment import INHERITED
from kubesandbox.node.pod import PodWorker, Surroundings
from kubesandbox.node.process import Processes
from kubesandbox.node.registration import Description, Registration, inherited
from kubesandbox.node.router import Router
from kubesandbox.node.server import KubeletServer
from kubesandbox.node.sources import Sources

log = logging.getLogger(__name__)

RETRY_SECONDS = 10.0
STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """How a node is run. `root` holds the pods' files; by default a temporary directory that goes with the node."""

    name: str = "kubesandbox"
    address: str = "127.0.0.1"
    root: Path | None = None
    router_port: int = 0
    back_off_scale: float = 1.0
    stop_seconds: float = STOP_SECONDS
    """How long containers get between SIGTERM and SIGKILL when the node itself ends; 0 kills them at once."""
    mount_lag: Callable[[], float] = lambda: 0.0
    """Seconds by which an update of a mounted file is late, asked for each time (a hostile cluster)."""
    environment: dict[str, str] | None = None
    """Instead of the node's own: what INHERITED picks from."""
    taints: tuple[Object, ...] = ()
    """What pods must tolerate to be scheduled here (a kubelet's --register-with-taints)."""


def _is_ours_to_run(pod: Object) -> bool:
    """What has ended is only ours again when it is to be deleted."""
    ended = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
    return not ended or bool(pod["metadata"].get("deletionTimestamp"))


class Node:
    """A running node: `async with Node(client, options) as node`."""

    def __init__(self, client: Client, options: NodeOptions | None = None) -> None:
        self._client = client
        self._options = options or NodeOptions()
        self._stack = contextlib.AsyncExitStack()
        self._workers: dict[str, PodWorker] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._finished: set[str] = set()
        self._pods = Cache(client, PODS, selectors={"fieldSelector": f"spec.nodeName={self._options.name}"})
        self._tasks: list[asyncio.Task[None]] = []
        self._router = Router(client)

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def router_url(self) -> str:
        """Where the router listens."""
        return f"http://127.0.0.1:{self._router.port}"

    async def __aenter__(self) -> Self:
        check_loopback()
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self._close())

    async def wait(self) -> None:
        """Return only by an exception of one of the node's parts."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _open(self) -> None:
        root, temporary = self._options.root, None
        if root is None:
            root = temporary = Path(tempfile.mkdtemp(prefix="kubesandbox-node-"))
            self._stack.callback(shutil.rmtree, root, ignore_errors=True)
        root = root.resolve()
        root.mkdir(parents=True, exist_ok=True)
        addresses = Addresses()
        self._stack.callback(addresses.close)
        processes = Processes(temporary)
        self._stack.callback(processes.close)
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        self._stack.push_async_callback(session.close)
        server = KubeletServer(self._find)
        self._stack.push_async_callback(server.close)
        port = await server.start(self._options.address)
        taints = self._options.taints
        description = Description(self.name, self._options.address, port, addresses.cidr, ADDRESSES, taints)
        self._registration = Registration(self._client, description)
        recorder = Recorder(self._client, "kubelet", self.name)
        sources = Sources(self._client)
        environment = dict(os.environ) if self._options.environment is None else self._options.environment
        self._surroundings = Surroundings(
            client=self._client,
            recorder=recorder,
            addresses=addresses,
            processes=processes,
            sources=sources,
            session=session,
            root=root,
            node_name=self.name,
            host_ip=self._options.address,
            allocatable=description.capacity,
            inherited=inherited(environment, INHERITED),
            back_off_scale=self._options.back_off_scale,
            mount_lag=self._options.mount_lag,
        )
        self._pods.listen(self._pod_changed)
        sources.listen(self._reference_changed)
        await self._registration.join()
        for part in (self._registration.keep(), recorder.run(), sources.run(), self._pods.run()):
            self._spawn(part)
        self._stack.push_async_callback(self._router.close)
        await self._router.start("127.0.0.1", self._options.router_port)

    def _spawn(self, part: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(part))

    def _pod_changed(self, change: Change) -> None:
        uid = change.current["metadata"]["uid"]
        worker = self._workers.get(uid)
        if change.new is None:
            self._finished.discard(uid)
            if worker is not None:
                worker.gone()
        elif worker is not None:
            worker.update(change.new)
        elif uid not in self._running and uid not in self._finished and _is_ours_to_run(change.new):
            self._running[uid] = asyncio.create_task(self._run(uid, change.new))

    async def _run(self, uid: str, pod: Object) -> None:
        """One pod, from binding to its object's end; tried again if the node itself could not do it."""
        try:
            while True:
                try:
                    self._workers[uid] = worker = PodWorker(self._surroundings, pod)
                    await worker.run()
                    break
                except Exception as error:
                    name = pod["metadata"]["name"]
                    log.exception("pod %s cannot be run", name)
                    message = f"Failed to create pod sandbox: {type(error).__name__}: {error}"
                    self._surroundings.recorder.warning(pod, "FailedCreatePodSandBox", message)
                    self._workers.pop(uid, None)
                    await asyncio.sleep(RETRY_SECONDS)
                    held = self._pods.get(pod["metadata"]["namespace"], name)
                    if held is None or held["metadata"]["uid"] != uid:
                        return
                    pod = held
            # Finalizers may keep the object a while: what has ended is not run again.
            if self._pods.get(pod["metadata"]["namespace"], pod["metadata"]["name"]) is not None:
                self._finished.add(uid)
        finally:
            self._workers.pop(uid, None)
            self._running.pop(uid, None)

    def _reference_changed(self, resource: Resource, namespace: str, name: str) -> None:
        for worker in self._workers.values():
            if worker.pod["metadata"]["namespace"] == namespace:
                worker.reference_changed(resource.kind, name)

    def _find(self, namespace: str, name: str) -> Callable[[str], ContainerRunner | None] | None:
        for worker in self._workers.values():
            metadata = worker.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                return worker.runner
        return None

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._running:
            grace = self._options.stop_seconds
            stopping = [asyncio.create_task(worker.abandon(grace)) for worker in self._workers.values()]
            await asyncio.wait(stopping, timeout=grace + 2)
            for task in list(self._running.values()):
                task.cancel()
            await asyncio.wait(list(self._running.values()) or [asyncio.create_task(asyncio.sleep(0))], timeout=5)
        await self._registration.remove()
        await self._stack.aclose()
