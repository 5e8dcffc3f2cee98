"""One container of a pod: started, probed, restarted and stopped as the kubelet does it."""

import asyncio
import contextlib
import datetime as dt
import logging
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from kubesandbox.client import ApiError, Object
from kubesandbox.node import probes
from kubesandbox.node.backoff import BackOff
from kubesandbox.node.environment import ContainerConfigError
from kubesandbox.node.logs import LogFile
from kubesandbox.node.prober import Prober
from kubesandbox.node.process import Process, Processes
from kubesandbox.node.status import Container, Running, Terminated, Waiting

log = logging.getLogger(__name__)

RETRY_SECONDS = 10.0
UNREACHABLE_SECONDS = 1.0
MINIMUM_GRACE = 2.0
KEPT_RUNS = 2
TERMINATION_MESSAGE_BYTES = 4096
LOG_TAIL_BYTES, LOG_TAIL_LINES = 2048, 80


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the container's process now."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    message_file: Path
    search_path: str


class Host(Protocol):
    """What a container asks of its pod."""

    @property
    def name(self) -> str: ...
    @property
    def pod(self) -> Object: ...
    @property
    def logs(self) -> Path: ...
    @property
    def processes(self) -> Processes: ...
    @property
    def session(self) -> aiohttp.ClientSession: ...
    async def launch(self, spec: Object) -> Launch: ...
    def target(self, spec: Object, execute: probes.Execute) -> probes.Target: ...
    def changed(self) -> None: ...
    def event(self, kind: str, reason: str, message: str, field: str) -> None: ...


class ContainerRunner:
    """Runs one container until it is done for good. `view` is what the pod's status says of it."""

    def __init__(self, host: Host, spec: Object, view: Container, *, field: str, scale: float) -> None:
        self.spec, self.view = spec, view
        self.runs: list[LogFile] = []
        self._host, self._field = host, field
        self._back_off = BackOff(scale)
        self._stopping = asyncio.Event()
        self._process: Process | None = None
        self._launch: Launch | None = None
        self._identity = ""
        self._prober = Prober(host, spec, view, field, kill=self._kill_for, execute=self._execute)
        self._killing: asyncio.Task[None] | None = None
        self._attempt = view.restarts

    async def run(self) -> None:
        """Start, and start again as the restart policy says, until it has ended or was stopped."""
        while not self._stopping.is_set():
            launch = await self._prepare()
            if launch is None:
                break
            terminated = await self._run_once(launch)
            self._back_off.finished()
            self.view.ready = self.view.started = False
            self.view.state = terminated
            self._host.changed()
            if self._stopping.is_set() or not self._restarts(terminated.exit_code):
                return
            if await self._wait_back_off(terminated):
                return
            self.view.last, self.view.restarts = terminated, self.view.restarts + 1
        if isinstance(self.view.state, Waiting):
            self._never_ran()

    async def started(self) -> None:
        """Return once the container has started (its startup probe, if any, has succeeded)."""
        await self._prober.started.wait()

    async def stop(self, grace: float) -> None:
        """preStop, SIGTERM, and SIGKILL when `grace` seconds are over. The container is not started again."""
        self._stopping.set()
        self._prober.quiet()
        if self._process is not None and self._process.running:
            self._host.event("Normal", "Killing", f"Stopping container {self.view.name}", self._field)
            await self._end(grace)

    def hurry(self) -> None:
        """The grace period is over, or was cut short."""
        if self._process is not None:
            self._process.kill()

    async def _prepare(self) -> Launch | None:
        """What to start, asked for again until it can be had; None when the container is to stop."""
        while True:
            try:
                launch = await self._host.launch(self.spec)
            except ContainerConfigError as error:
                reason, message = "CreateContainerConfigError", str(error)
            except ImageError as error:
                await self._no_image(error)
                return None
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                log.debug("%s/%s: references not read: %s", self._host.name, self.view.name, error)
                if await self._pause(UNREACHABLE_SECONDS):
                    return None
                continue
            except OSError as error:
                reason, message = "CreateContainerError", str(error)
            else:
                return launch
            self._host.event("Warning", "Failed", f"Error: {message}", self._field)
            self._wait(reason, message)
            if await self._pause(RETRY_SECONDS * min(self._back_off.scale, 1.0)):
                return None

    async def _no_image(self, error: "ImageError") -> None:
        image = self.spec.get("image", "")
        self._host.event("Warning", "Failed", f'Failed to pull image "{image}": {error}', self._field)
        self._host.event("Warning", "Failed", "Error: ErrImagePull", self._field)
        self._wait("ErrImagePull", str(error))
        if await self._pause(FIRST_IMAGE_SECONDS * self._back_off.scale):
            return
        self._host.event("Normal", "BackOff", f'Back-off pulling image "{image}"', self._field)
        self._host.event("Warning", "Failed", "Error: ImagePullBackOff", self._field)
        self._wait("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {error}')
        await self._stopping.wait()

    async def _run_once(self, launch: Launch) -> Terminated:
        name = self.view.name
        output = self._open_log()
        started_at = dt.datetime.now(dt.UTC)
        self._identity = f"{self._host.pod['metadata']['uid']}/{name}/{self._attempt}"
        container_id = f"process://{self._identity}"
        self._attempt += 1
        self._launch = launch
        launch.message_file.unlink(missing_ok=True)
        self._host.event("Normal", "Created", "Container created", self._field)
        try:
            program = self._find(launch)
            self._process = process = self._host.processes.start(
                [program, *launch.argv[1:]],
                environment=launch.environment,
                folder=launch.folder,
                name=self._identity,
                sink=output.write,
            )
        except OSError as error:
            output.close()
            message = f'exec: "{launch.argv[0]}": {error.strerror or error}'
            self._host.event("Warning", "Failed", f"Error: {message}", self._field)
            return Terminated(128, "StartError", None, dt.datetime.now(dt.UTC), message, container_id)
        self.view.container_id = container_id
        self.view.state = Running(started_at)
        self._host.event("Normal", "Started", "Container started", self._field)
        await self._post_start()
        self._prober.begin()
        self._host.changed()
        code = await process.wait()
        self._prober.end()
        if self._killing is not None:
            await asyncio.wait([self._killing])
            self._killing = None
        output.close()
        reason = "Completed" if code == 0 else "Error"
        finished_at = dt.datetime.now(dt.UTC)
        return Terminated(code, reason, started_at, finished_at, self._last_words(launch, output, code), container_id)

    def _find(self, launch: Launch) -> str:
        command = launch.argv[0]
        found = shutil.which(command, path=launch.search_path)
        if found is None:
            at = Path(launch.folder, command)
            if "/" in command and at.exists():
                return str(at)
            kind = "no such file or directory" if "/" in command else "executable file not found in $PATH"
            raise FileNotFoundError(2, kind)
        return found

    def _open_log(self) -> LogFile:
        output = LogFile(self._host.logs / self.view.name / f"{self._attempt}.log")
        self.runs.append(output)
        while len(self.runs) > KEPT_RUNS:
            old = self.runs.pop(0)
            for path in (old.path, old.path.with_suffix(".log.1")):
                path.unlink(missing_ok=True)
        return output

    def _last_words(self, launch: Launch, output: LogFile, code: int) -> str:
        """The termination message: the file's text or, after an error and where asked for, the log's end."""
        with contextlib.suppress(OSError):
            text = launch.message_file.read_bytes()[-TERMINATION_MESSAGE_BYTES:].decode(errors="replace")
            if text:
                return text
        if code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            lines = [entry.text for entry in output.entries()][-LOG_TAIL_LINES:]
            return b"".join(lines)[-LOG_TAIL_BYTES:].decode(errors="replace")
        return ""

    def _restarts(self, code: int) -> bool:
        policy = self.view.restart_policy
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    async def _wait_back_off(self, terminated: Terminated) -> bool:
        seconds = self._back_off.seconds
        if not seconds:
            return False
        pod = self._host.pod["metadata"]
        where = f"{self.view.name} in pod {pod['name']}_{pod['namespace']}({pod['uid']})"
        self._host.event("Warning", "BackOff", f"Back-off restarting failed container {where}", self._field)
        self.view.last = terminated
        which = f"container={self.view.name} pod={pod['name']}_{pod['namespace']}({pod['uid']})"
        self._wait("CrashLoopBackOff", f"back-off {self._back_off.text} restarting failed {which}")
        if await self._pause(seconds):
            self.view.state = terminated
            self._host.changed()
            return True
        return False

    def _never_ran(self) -> None:
        if self.view.last is not None:
            self.view.state = self.view.last
        self._host.changed()

    def _wait(self, reason: str, message: str) -> None:
        self.view.state = Waiting(reason, message)
        self._host.changed()

    async def _pause(self, seconds: float) -> bool:
        """Wait; True as soon as the container is to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    # -- stopping ---------------------------------------------------------------------------------------------------

    def _kill_for(self, message: str, probe: Object) -> None:
        """A liveness or startup probe gave up on the container: end it, so that it is started again."""
        if self._killing is not None or self._stopping.is_set():
            return
        self._host.event("Normal", "Killing", message, self._field)
        grace = probe.get("terminationGracePeriodSeconds")
        if grace is None:
            grace = self._host.pod["spec"].get("terminationGracePeriodSeconds", 30)
        self._prober.hold()
        self._killing = asyncio.create_task(self._end(float(grace)))

    async def _end(self, grace: float) -> None:
        process = self._process
        if process is None:
            return
        deadline = time.monotonic() + grace
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace > 0:
            running = asyncio.create_task(self._run_hook("PreStop", hook, grace))
            ended = asyncio.create_task(process.wait())
            await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
            running.cancel()
            ended.cancel()
        left = max(deadline - time.monotonic(), MINIMUM_GRACE if grace > 0 else 0.0)
        if grace > 0:
            process.send(getattr(signal, (self.spec.get("lifecycle") or {}).get("stopSignal") or "SIGTERM"))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await process.wait()
        process.kill()
        await process.wait()

    async def _post_start(self) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook and not await self._run_hook("PostStart", hook, 3600.0):
            self._kill_for("FailedPostStartHook", {})

    async def _run_hook(self, which: str, hook: Object, seconds: float) -> bool:
        target = self._host.target(self.spec, self._execute)
        if "sleep" in hook:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(hook["sleep"]["seconds"], seconds)):
                    await self._ended()
            return True
        try:
            outcome = await probes.probe({**hook, "timeoutSeconds": seconds}, target, self._host.session)
        except probes.ProbeError as error:
            outcome = probes.Outcome(False, str(error))
        if not outcome.success:
            self._host.event("Warning", f"Failed{which}Hook", f"{which}Hook failed: {outcome.message}", self._field)
        return outcome.success

    async def _ended(self) -> None:
        if self._process is not None:
            await self._process.wait()

    async def _execute(self, command: list[str], timeout: float) -> tuple[int, str]:  # noqa: ASYNC109
        """Run `command` in the container's environment, for exec probes and hooks."""
        launch = self._launch
        if launch is None:
            raise probes.ProbeError("the container is not running")
        output: list[bytes] = []
        program = shutil.which(command[0], path=launch.search_path)
        if program is None:
            raise probes.ProbeError(f'exec: "{command[0]}": executable file not found in $PATH')
        process = self._host.processes.start(
            [program, *command[1:]],
            environment=launch.environment,
            folder=launch.folder,
            # The container's own name: what the command leaves behind goes with the container.
            name=self._identity,
            sink=lambda _, chunk: output.append(chunk),
            sweep=False,
        )
        try:
            async with asyncio.timeout(timeout):
                code = await process.wait()
        finally:
            process.kill()
        return code, b"".join(output)[: 10 * 1024].decode(errors="replace")


FIRST_IMAGE_SECONDS = 10.0


class ImageError(Exception):
    """There is no command to run, and images are not pulled here."""
