"""Child processes that never outlive their parent."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class ProcessFailed(Exception):
    """A process ended, or did not become ready in time. The message holds the end of its log."""


def _die_with_parent() -> None:
    """Runs in the child before exec: the kernel terminates it when its parent is gone (prctl(2))."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    if not path.exists():
        return "(no log)"
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


class Guard:
    """Notices when one of several processes ends by itself."""

    def __init__(self) -> None:
        self._ended: asyncio.Queue[ProcessFailed] = asyncio.Queue()
        self._watching: set[asyncio.Task[None]] = set()

    def watch(self, process: Process) -> None:
        """Looks after one more, which was started."""
        task = asyncio.create_task(self._watch(process))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _watch(self, process: Process) -> None:
        code = await process.ended()
        if not process.stopping:
            self._ended.put_nowait(ProcessFailed(f"{process.name} ended by itself ({code}):\n{tail(process.log)}"))

    async def failure(self) -> ProcessFailed:
        """What ended, once something has."""
        return await self._ended.get()


class Child(Protocol):
    """A process that was started, as `asyncio.subprocess.Process` is one."""

    pid: int
    stdout: asyncio.StreamReader | None

    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...


Launch = Callable[[Sequence[str], Mapping[str, str], int], Awaitable[Child]]
"""Starts a command line with an environment and a descriptor for its errors, as its own session."""


async def execute(command: Sequence[str], environment: Mapping[str, str], errors: int) -> Child:
    """How processes are started."""
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        env=environment,
        start_new_session=True,  # Ctrl-C reaches the parent alone, which then stops each in order
        preexec_fn=_die_with_parent,
    )


class Process:
    """One child process, whose output goes to a log file."""

    launch: ClassVar[Launch] = staticmethod(execute)

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self.stopping = False
        self._command = list(command)
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._child: Child | None = None
        self._reading: asyncio.Task[None] | None = None
        self._first_line: asyncio.Future[str] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._child is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._child is not None and self._child.returncode is None

    async def start(self) -> None:
        """Starts it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._first_line = asyncio.get_running_loop().create_future()
        with self.log.open("ab") as errors:
            self._child = await Process.launch(self._command, self._environment, errors.fileno())
        self._reading = asyncio.create_task(self._copy_output())

    async def _copy_output(self) -> None:
        assert self._child is not None  # noqa: S101
        assert self._child.stdout is not None  # noqa: S101
        assert self._first_line is not None  # noqa: S101
        with self.log.open("ab", buffering=0) as log:
            async for line in self._child.stdout:
                log.write(line)
                if not self._first_line.done():
                    self._first_line.set_result(line.decode(errors="replace").strip())
        if not self._first_line.done():
            self._first_line.set_exception(ProcessFailed(f"{self.name} ended at once:\n{tail(self.log)}"))

    async def first_line(self, timeout: float = 30) -> str:  # noqa: ASYNC109
        """The first line that it prints: how each of our processes says that it is ready.

        Raises:
            ProcessFailed: it ended, or printed nothing within `timeout` seconds.
        """
        assert self._first_line is not None  # noqa: S101
        try:
            return await asyncio.wait_for(asyncio.shield(self._first_line), timeout)
        except TimeoutError:
            raise ProcessFailed(f"{self.name} was not ready within {timeout:g} s:\n{tail(self.log)}") from None

    async def ended(self) -> int:
        """Its exit code, once it has one."""
        assert self._child is not None  # noqa: S101
        return await self._child.wait()

    def signal(self, number: int) -> None:
        """Sends a signal to it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def stop(self, grace: float = 10) -> None:
        """Terminates it, and kills it after `grace` seconds."""
        if self._child is None:
            return
        self.stopping = True
        if self.running:
            self.signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._child.wait(), grace)
            except TimeoutError:
                self.signal(signal.SIGKILL)
                await self._child.wait()
        if self._reading is not None:
            await self._reading
        if self._first_line is not None and self._first_line.done():
            self._first_line.exception()  # looked at, so that nobody is warned of it
