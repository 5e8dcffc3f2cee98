"""One pod on this node, from the moment it is bound until its object is gone."""

import asyncio
import contextlib
import datetime as dt
import itertools
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from kubesandbox.client import ApiError, Client, Object, Recorder
from kubesandbox.client.resources import PODS
from kubesandbox.node import environment, probes
from kubesandbox.node.addresses import Addresses, local
from kubesandbox.node.container import ContainerRunner, ImageError, Launch
from kubesandbox.node.environment import Facts
from kubesandbox.node.filesystem import PodFiles
from kubesandbox.node.process import Processes
from kubesandbox.node.reporting import Reporter
from kubesandbox.node.sources import Sources
from kubesandbox.node.status import Container, PodFacts, Terminated, Waiting, pod_status
from kubesandbox.node.volumes import MountError

log = logging.getLogger(__name__)

RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
HOST_IP = "127.0.0.1"
TRANSIENT = (ApiError, aiohttp.ClientError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all pods of a node share."""

    client: Client
    recorder: Recorder
    addresses: Addresses
    processes: Processes
    sources: Sources
    session: aiohttp.ClientSession
    root: Path
    node_name: str
    host_ip: str
    allocatable: dict[str, str]
    inherited: dict[str, str]
    back_off_scale: float
    mount_lag: Callable[[], float]


class PodWorker:
    """Runs the pod. `update` brings its object as it changes, `gone` says that the object is no more."""

    def __init__(self, node: Surroundings, pod: Object) -> None:
        self._node = node
        self._pod = pod
        metadata = pod["metadata"]
        self._files = PodFiles(node.root / "pods" / metadata["uid"], node.client, node.sources, pod)
        self._address = node.addresses.take()
        self._start_time = dt.datetime.now(dt.UTC)
        self._reporter = Reporter(node.client, pod)
        self._stale = asyncio.Event()
        self._deleted = asyncio.Event()
        self._gone = False
        self._deadline = float("inf")
        self._has_network = False
        self._ended = False
        self._failure: tuple[str, str] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._background: list[asyncio.Task[None]] = []
        self._runners = {
            spec["name"]: self._runner(spec, initial)
            for initial in (True, False)
            for spec in pod["spec"].get("initContainers" if initial else "containers") or ()
        }

    # -- what a container asks of its pod ----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return str(self._pod["metadata"]["name"])

    @property
    def pod(self) -> Object:
        return self._pod

    @property
    def logs(self) -> Path:
        return self._files.logs

    @property
    def processes(self) -> Processes:
        return self._node.processes

    @property
    def session(self) -> aiohttp.ClientSession:
        return self._node.session

    def changed(self) -> None:
        self._reporter.changed()

    def event(self, kind: str, reason: str, message: str, field: str) -> None:
        tell = self._node.recorder.normal if kind == "Normal" else self._node.recorder.warning
        tell(self._pod, reason, message, field=field)

    def target(self, spec: Object, execute: probes.Execute) -> probes.Target:
        ports = {port["name"]: port["containerPort"] for port in spec.get("ports") or () if port.get("name")}
        return probes.Target(local(self._address), self._address, ports, execute)

    async def launch(self, spec: Object) -> Launch:
        """The container's command line, environment and folder, from its references as they are now."""
        if not spec.get("command"):
            raise ImageError(
                "kubesandbox's node pulls no images, it runs commands of this machine: "
                f"set spec.containers[{spec['name']}].command"
            )
        config_maps, secrets = environment.referenced({"containers": [spec]})
        namespace = self._pod["metadata"]["namespace"]
        references = await self._node.sources.read(namespace, config_maps, secrets)
        wanted = environment.variables(spec, self._pod, references, self._facts())
        mounts = self._files.mounts(spec, wanted)
        own = {name: environment.rewrite(value, mounts) for name, value in wanted.items()}
        base = {**self._node.inherited, "HOSTNAME": self.name, "TMPDIR": str(self._files.temporary)}
        if self._files.kubeconfig is not None:
            base["KUBECONFIG"] = str(self._files.kubeconfig)
        words = [environment.expand(word, wanted) for word in (*spec["command"], *(spec.get("args") or ()))]
        folder = self._files.working_directory(spec["name"])
        if spec.get("workingDir"):
            folder = Path(environment.rewrite(spec["workingDir"], mounts))
        result = base | own
        interpreters = str(Path(sys.executable).parent)
        return Launch(
            argv=[environment.rewrite(word, mounts) for word in words],
            environment=result,
            folder=folder,
            message_file=self._files.message_file(spec["name"]),
            search_path=f"{interpreters}:{result.get('PATH', '/usr/local/bin:/usr/bin:/bin')}",
        )

    # -- what the node tells its pod ---------------------------------------------------------------------------------

    def update(self, pod: Object) -> None:
        before, self._pod = self._pod["metadata"], pod
        metadata = pod["metadata"]
        if any(before.get(field) != metadata.get(field) for field in ("labels", "annotations")):
            self._stale.set()
        if metadata.get("deletionTimestamp"):
            # A later deletion may shorten the grace period, never lengthen it.
            grace = metadata.get("deletionGracePeriodSeconds", 30)
            self._end_by(time.monotonic() + grace)
        self._reporter.changed()

    def gone(self) -> None:
        """The object was removed without waiting for us: end at once."""
        self._gone = True
        self._end_by(time.monotonic())

    def _end_by(self, deadline: float) -> None:
        if self._deleted.is_set() and deadline < self._deadline:
            asyncio.get_running_loop().call_at(deadline, self._hurry)
        self._deadline = min(self._deadline, deadline)
        self._deleted.set()

    def reference_changed(self, kind: str, name: str) -> None:
        if self._files.refers_to(kind, name):
            self._stale.set()

    def runner(self, container: str) -> ContainerRunner | None:
        return self._runners.get(container)

    async def abandon(self, grace: float) -> None:
        """The node itself ends: stop what runs, and leave the object as it is."""
        self._deadline = min(self._deadline, time.monotonic() + grace)
        await self._stop()

    # -- its life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Return when nothing of the pod is left, on this machine and in the API."""
        reporter = asyncio.create_task(self._reporter.run(self._write_status))
        try:
            self._reporter.changed()
            if self._pod["metadata"].get("deletionTimestamp"):
                self.update(self._pod)
            await self._live()
            await self._deleted.wait()
            await self._stop()
            reporter.cancel()
            await self._finish()
        finally:
            reporter.cancel()
            for task in (*self._background, *self._tasks.values()):
                task.cancel()
            for runner in self._runners.values():
                runner.hurry()
            self._release()
            await asyncio.to_thread(self._files.remove)

    async def _live(self) -> None:
        """Until every container has ended for good, the pod's deadline is over, or it is deleted."""
        life = asyncio.create_task(self._set_up_and_run())
        deleted = asyncio.create_task(self._deleted.wait())
        try:
            seconds = self._pod["spec"].get("activeDeadlineSeconds")
            done, _ = await asyncio.wait({life, deleted}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if life in done:
                life.result()
        finally:
            life.cancel()
            deleted.cancel()
        if not done:
            self._failure = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
        if not self._deleted.is_set():
            self._deadline = time.monotonic() + self._grace
            await self._stop()
            self._reporter.changed()

    async def _set_up_and_run(self) -> None:
        await self._set_up()
        self._has_network = True
        if self._pod["spec"].get("initContainers"):
            for spec in self._pod["spec"]["containers"]:
                self._runners[spec["name"]].view.state = Waiting("PodInitializing")
        self._reporter.changed()
        self._background = [
            asyncio.create_task(self._keep_files()),
            asyncio.create_task(self._files.keep_tokens(self._stale)),
        ]
        if await self._initialize():
            main = [self._start(spec) for spec in self._pod["spec"]["containers"]]
            await asyncio.wait(main)

    async def _initialize(self) -> bool:
        """Init containers in order, sidecars until they have started; False when one has failed for good."""
        for spec in self._pod["spec"].get("initContainers") or ():
            runner, task = self._runners[spec["name"]], self._start(spec)
            if runner.view.sidecar:
                await runner.started()
                continue
            await asyncio.wait({task})
            state = runner.view.state
            if not (isinstance(state, Terminated) and state.exit_code == 0):
                return False
            runner.view.ready = True
            self._reporter.changed()
        return True

    def _start(self, spec: Object) -> asyncio.Task[None]:
        name = spec["name"]
        self._tasks[name] = task = asyncio.create_task(self._runners[name].run(), name=f"{self.name}/{name}")
        return task

    async def _set_up(self) -> None:
        delays = _retries()
        while True:
            try:
                return await self._files.set_up(self._pod, self._facts())
            except MountError as error:
                self.event("Warning", "FailedMount", str(error), "")
                delay = next(delays)
            except TRANSIENT as error:
                self.event("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}", "")
                delay = RETRY_SECONDS[0]
            self._stale.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stale.wait()

    async def _keep_files(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            try:
                await asyncio.sleep(self._node.mount_lag())
                await self._files.refresh(self._pod, self._facts())
            except MountError as error:
                self.event("Warning", "FailedMount", str(error), "")
            except TRANSIENT as error:
                log.debug("pod %s: files not refreshed: %s", self.name, error)
                await asyncio.sleep(RETRY_SECONDS[1])
                self._stale.set()

    # -- its end -----------------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        """Stop the containers, then the sidecars, last one first, within the grace period."""
        sidecars = [name for name, runner in self._runners.items() if runner.view.sidecar and name in self._tasks]
        others = [name for name in self._tasks if name not in sidecars]
        for names in (others, *([name] for name in reversed(sidecars))):
            grace = max(self._deadline - time.monotonic(), 0.0)
            stopping = [asyncio.create_task(self._runners[name].stop(grace)) for name in names]
            if stopping:
                await asyncio.wait([*stopping, *(self._tasks[name] for name in names)])

    def _hurry(self) -> None:
        for runner in self._runners.values():
            runner.hurry()

    async def _finish(self) -> None:
        """Report the end, then delete the object, as the kubelet does once nothing runs any more."""
        self._ended, self._has_network = True, False
        metadata = self._pod["metadata"]
        for delay in _retries():
            if self._gone:
                return
            try:
                await self._write_status()
                await self._node.client.delete(
                    PODS, metadata["namespace"], metadata["name"], uid=metadata["uid"], grace_seconds=0
                )
            except ApiError as error:
                if error.not_found or (error.conflict and await self._was_replaced()):
                    return
                log.debug("pod %s: not deleted yet: %s", self.name, error)
            except (aiohttp.ClientError, TimeoutError) as error:
                log.debug("pod %s: not deleted yet: %s", self.name, error)
            else:
                return
            await asyncio.sleep(delay)

    async def _was_replaced(self) -> bool:
        """Whether a refused deletion was of an object that is no longer this pod."""
        metadata = self._pod["metadata"]
        try:
            held = await self._node.client.get(PODS, metadata["namespace"], metadata["name"])
        except ApiError as error:
            return error.not_found
        except (aiohttp.ClientError, TimeoutError):
            return False
        return bool(held["metadata"]["uid"] != metadata["uid"])

    def _release(self) -> None:
        self._node.addresses.give_back(self._address)

    async def _write_status(self) -> None:
        initial = [self._runners[spec["name"]].view for spec in self._pod["spec"].get("initContainers") or ()]
        main = [self._runners[spec["name"]].view for spec in self._pod["spec"]["containers"]]
        facts = PodFacts(
            start_time=self._start_time,
            pod_ip=self._address if self._has_network or self._ended else "",
            host_ip=self._node.host_ip,
            has_network=self._has_network,
            failure=self._failure,
            ended=self._ended,
        )
        status = pod_status(self._pod, initial, main, facts, dt.datetime.now(dt.UTC))
        written = await self._reporter.write(self._pod, status)
        if written is not None:
            self._pod = {**self._pod, "status": written}

    # -- parts -------------------------------------------------------------------------------------------------------

    @property
    def _grace(self) -> float:
        return float(self._pod["spec"].get("terminationGracePeriodSeconds", 30))

    def _facts(self) -> Facts:
        return Facts(
            node_name=self._node.node_name,
            pod_ip=local(self._address),
            host_ip=HOST_IP,
            allocatable=self._node.allocatable,
        )

    def _runner(self, spec: Object, initial: bool) -> ContainerRunner:
        sidecar = initial and spec.get("restartPolicy") == "Always"
        policy = self._pod["spec"].get("restartPolicy", "Always")
        if initial and not sidecar:
            policy = "Never" if policy == "Never" else "OnFailure"
        view = Container(spec["name"], spec.get("image", ""), "Always" if sidecar else policy, sidecar)
        reported = "initContainerStatuses" if initial else "containerStatuses"
        for status in (self._pod.get("status") or {}).get(reported) or ():
            if status["name"] == view.name and status.get("containerID"):
                view.restarts = status["restartCount"] + 1  # it ran before this node was started
        field = f"spec.{'initContainers' if initial else 'containers'}{{{spec['name']}}}"
        return ContainerRunner(self, spec, view, field=field, scale=self._node.back_off_scale)


def _retries() -> Iterator[float]:
    """Seconds between tries, for ever."""
    return itertools.chain(RETRY_SECONDS, itertools.repeat(RETRY_SECONDS[-1]))
