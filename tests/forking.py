"""Starts processes of the product by fork, through the zygote (`tests.zygote`), where they would be by exec.

What is forked is a process as any: its own id, session, environment, folder, output, signals and exit code. Only what
it imports was loaded before. Tests that are about how a process starts call the interpreter themselves.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LARGEST = 1 << 16
"""Bytes of an order, and of an environment."""
_FORKED = ("kubesandbox", "switchboard", "switchboard.sandbox.twilio", "tests.faults.webhook.crashing")
_HERE = Path(__file__).parent.parent


class Zygote:
    """The process that forks. Who orders before it has loaded waits for it."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="sb-zygote-")  # a socket's path is short
        self.address = f"{self._directory}/socket"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(self.address)
            listener.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.zygote", str(listener.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                cwd=_HERE,
                env={**os.environ, "ROOM": "-" * LARGEST},  # for the environment of what is forked
            )

    def close(self) -> None:
        """Ends it, and all that it forked."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


class Child:
    """One process that was forked: what `subprocess.Popen` would be."""

    def __init__(
        self,
        address: str,
        command: tuple[str, list[str]],
        environment: Mapping[str, str],
        folder: str,
        outputs: tuple[int, int],
    ) -> None:
        module, arguments = command
        order = {"module": module, "arguments": arguments, "environment": dict(environment), "folder": folder}
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._connection.connect(address)
            socket.send_fds(self._connection, [json.dumps(order).encode()], outputs)
            self.pid = int(self._connection.recv(64))
        except BaseException:
            self._connection.close()
            raise

    def wait(self) -> int:
        """Its exit code, or minus the signal's number. It must have ended."""
        self._connection.sendall(b"?")
        code = int(self._connection.recv(64))
        self._connection.close()
        return code


class _Awaited:
    """A forked process as `asyncio.subprocess.Process` is one."""

    def __init__(self, child: Child, stdout: asyncio.StreamReader) -> None:
        self.pid, self.stdout = child.pid, stdout
        self.returncode: int | None = None
        self._child = child
        self._ended = asyncio.Event()
        self._descriptor = os.pidfd_open(child.pid)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._end)

    def _end(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.returncode = self._child.wait()
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode


def _forked(command: Sequence[Any]) -> tuple[str, list[str]] | None:
    """The module that a command line runs and its arguments, where it is one that is forked."""
    program, *words = map(str, command)
    if Path(program) == Path(sys.executable).with_name("switchboard"):
        return "switchboard", words
    if program == sys.executable and words[:1] == ["-m"] and words[1] in _FORKED:
        return words[1], words[2:]
    return None


def processes(address: Callable[[], str]) -> None:
    """From now on, what this process starts through `switchboard.sandbox.processes` is forked by the zygote there."""
    from switchboard.sandbox.processes import Process, execute

    async def launch(command: Sequence[str], environment: Mapping[str, str], errors: int) -> Any:
        found = _forked(command)
        if found is None:
            return await execute(command, environment, errors)
        reading, writing = os.pipe()
        try:
            child = Child(address(), found, environment, os.getcwd(), (writing, errors))
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        reader = asyncio.StreamReader()
        awaited = _Awaited(child, reader)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
        )
        return awaited

    Process.launch = staticmethod(launch)


def pods(address: str) -> None:
    """From now on, the containers of this process's node are forked, where they run the product."""
    from kubesandbox.node.process import Processes, execute

    def spawn(argv: Sequence[str], environment: Mapping[str, str], folder: Path, outputs: tuple[int, int]) -> Any:
        found = _forked(argv)
        if found is None or not folder.is_dir():
            return execute(argv, environment, folder, outputs)
        return Child(address, found, environment, str(folder), outputs)

    Processes.spawn = staticmethod(spawn)
