"""Local processes that cannot outlive the node."""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

from kubesandbox.node import warden

MARKER = "KUBESANDBOX_CONTAINER"


class Child(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int: ...
    def wait(self) -> int:
        """Its exit code, or minus the number of the signal that ended it; asked for once it has ended."""
        ...


Spawn = Callable[[Sequence[str], Mapping[str, str], Path, tuple[int, int]], Child]
"""Starts a command line with an environment, in a folder, with descriptors for both outputs, as its own session."""


def execute(argv: Sequence[str], environment: Mapping[str, str], folder: Path, outputs: tuple[int, int]) -> Child:
    """How containers' processes are started. Raises OSError when `argv` cannot be run."""
    return subprocess.Popen(  # noqa: S603
        argv,
        stdin=subprocess.DEVNULL,
        stdout=outputs[0],
        stderr=outputs[1],
        env=environment,
        cwd=folder,
        start_new_session=True,
    )


Sink = Callable[[str, bytes], None]
"""Called with ("stdout" or "stderr", bytes) as a process writes, and with b"" at a stream's end."""


class Processes:
    """Starts processes, and sees to it with a warden process that none is left when the node ends."""

    spawn: ClassVar[Spawn] = staticmethod(execute)
    """A container runtime may stand in here."""

    def __init__(self, temporary: Path | None = None) -> None:
        """`temporary` is removed with the node, also after SIGKILL."""
        self.token = secrets.token_hex(8)
        self._warden = subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-I", "-S", warden.__file__, f"{MARKER}={self.token}/", str(os.getpid())),
                *([str(temporary)] if temporary is not None else []),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )

    def start(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        name: str,
        sink: Sink,
        sweep: bool = True,
    ) -> "Process":
        """Run `argv` (its first item is a path) in its own session. Raises OSError when it cannot be run.

        With `sweep`, whatever carries the same `name` dies with it; without, only its process group does.
        """
        marked = {**environment, MARKER: f"{self.token}/{name}"}
        return Process(partial(Processes.spawn, argv, marked, folder), marked[MARKER], sink, sweep)

    def close(self) -> None:
        """Kill what is left, through the warden, and wait until that is done."""
        if self._warden.stdin is not None:
            self._warden.stdin.close()
        self._warden.wait(timeout=15)


class Process:
    """A running process with its session; `wait` gives the exit code, 128 + n after signal n."""

    def __init__(self, spawn: Callable[[tuple[int, int]], Child], marker: str, sink: Sink, sweep: bool) -> None:
        self._sweeps = sweep
        self._marker = f"{MARKER}={marker}\0".encode()
        outputs = {"stdout": os.pipe(), "stderr": os.pipe()}
        try:
            self._child = spawn((outputs["stdout"][1], outputs["stderr"][1]))
        except OSError:
            for reading, _ in outputs.values():
                os.close(reading)
            raise
        finally:
            for _, writing in outputs.values():
                os.close(writing)
        self.pid = self._child.pid
        loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = loop.create_future()
        self._outputs = [_Output(loop, stream, pair[0], sink) for stream, pair in outputs.items()]
        self._pidfd = os.pidfd_open(self.pid)
        loop.add_reader(self._pidfd, self._exited)

    async def wait(self) -> int:
        return await asyncio.shield(self._exit)

    @property
    def running(self) -> bool:
        return not self._exit.done()

    def send(self, number: signal.Signals) -> None:
        """Signal the main process only, as a container runtime does."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """SIGKILL the main process and its group; the rest goes when the main process's end is seen."""
        if self.running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _exited(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        # Not reaped yet, so its process group's number cannot be another's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._child.wait()
        os.close(self._pidfd)
        self._last = loop.create_task(self._sweep(code if code >= 0 else 128 - code))

    async def _sweep(self, code: int) -> None:
        """What left the group dies too, as with a container's PID namespace; then the output is complete."""
        try:
            if self._sweeps:
                await asyncio.to_thread(warden.kill_marked, self._marker)
            for output in self._outputs:
                output.finish()
        finally:
            if not self._exit.done():
                self._exit.set_result(code)


class _Output:
    """One of a process's streams, read without blocking and handed to the sink."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stream: str, descriptor: int, sink: Sink) -> None:
        self._loop, self._stream, self._descriptor, self._sink = loop, stream, descriptor, sink
        os.set_blocking(descriptor, False)
        self._open = True
        loop.add_reader(descriptor, self._read)

    def finish(self) -> None:
        while self._open and self._read():
            pass
        self._close()

    def _read(self) -> bool:
        try:
            chunk = os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return False
        if not chunk:
            self._close()
            return False
        self._sink(self._stream, chunk)
        return True

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._sink(self._stream, b"")
