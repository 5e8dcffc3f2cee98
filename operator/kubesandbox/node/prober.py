"""One container's probes: which run when, and what their results do."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import aiohttp

from kubesandbox.client import Object
from kubesandbox.node import probes
from kubesandbox.node.status import Container, Running


class Host(Protocol):
    """What probing asks of the pod."""

    @property
    def session(self) -> aiohttp.ClientSession: ...
    def target(self, spec: Object, execute: probes.Execute) -> probes.Target: ...
    def changed(self) -> None: ...
    def event(self, kind: str, reason: str, message: str, field: str) -> None: ...


class Prober:
    """Sets `started` and `ready` of the container's view, and has it killed where a probe gives up on it."""

    def __init__(
        self,
        host: Host,
        spec: Object,
        view: Container,
        field: str,
        *,
        kill: Callable[[str, Object], None],
        execute: probes.Execute,
    ) -> None:
        self.started = asyncio.Event()
        self._host, self._spec, self._view, self._field = host, spec, view, field
        self._kill, self._execute = kill, execute
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held = False

    def begin(self) -> None:
        """The container runs: its startup probe first, if it has one."""
        self._held = False
        if self._spec.get("startupProbe"):
            self._probe("startup", self._startup_changed)
        else:
            self._has_started()

    def hold(self) -> None:
        """The container is being killed for a probe: tell of no more failures."""
        self._held = True

    def quiet(self) -> None:
        """The pod is going: only readiness still matters."""
        for kind in ("startup", "liveness"):
            self._cancel(kind)

    def end(self) -> None:
        """The container has ended."""
        for kind in list(self._tasks):
            self._cancel(kind)

    def _has_started(self) -> None:
        self._view.started = True
        self.started.set()
        if self._spec.get("readinessProbe"):
            self._probe("readiness", self._readiness_changed)
        else:
            self._view.ready = True
        if self._spec.get("livenessProbe"):
            self._probe("liveness", self._liveness_changed)
        self._host.changed()

    def _startup_changed(self, success: bool) -> None:
        if success:
            task = self._tasks.pop("startup")
            asyncio.get_running_loop().call_soon(task.cancel)  # it is this very task that tells of the success
            self._has_started()
        else:
            self._kill(
                f"Container {self._view.name} failed startup probe, will be restarted", self._spec["startupProbe"]
            )

    def _liveness_changed(self, success: bool) -> None:
        if not success:
            message = f"Container {self._view.name} failed liveness probe, will be restarted"
            self._kill(message, self._spec["livenessProbe"])

    def _readiness_changed(self, success: bool) -> None:
        if self._view.ready != success and isinstance(self._view.state, Running):
            self._view.ready = success
            self._host.changed()

    def _probe(self, kind: str, changed: Callable[[bool], None]) -> None:
        spec = self._spec[f"{kind}Probe"]
        target = self._host.target(self._spec, self._execute)

        async def once() -> probes.Outcome:
            try:
                return await probes.probe(spec, target, self._host.session)
            except probes.ProbeError as error:
                return probes.Outcome(False, str(error))

        def failed(message: str) -> None:
            if isinstance(self._view.state, Running) and not self._held:
                text = f"{kind.capitalize()} probe failed: {message}"
                self._host.event("Warning", "Unhealthy", text, self._field)

        self._tasks[kind] = asyncio.create_task(probes.keep_probing(spec, once, changed=changed, failed=failed))

    def _cancel(self, kind: str) -> None:
        task = self._tasks.pop(kind, None)
        if task is not None:
            task.cancel()
