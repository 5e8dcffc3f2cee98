"""Webhook processes by fork: what they import is loaded once, so that starting one costs milliseconds.

`python -m tests.integration.webhook.zygote SOCKET` loads it and listens. Each connection orders one process, is told
its id and how it ended, and takes it along when it is closed.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

_PR_SET_PDEATHSIG = 1
_READY = "ready"


class Forked:
    """One process that a zygote forked; as `switchboard.sandbox.processes.Process`."""

    def __init__(self, socket_path: Path, name: str, module: str, log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self._socket = socket_path
        self._order = {
            "module": module,
            "arguments": ["webhook", "serve"] if module == "switchboard" else ["serve"],
            "log": str(log),
            "environment": dict(environment),
        }
        self._writer: asyncio.StreamWriter | None = None
        self._ending: asyncio.Task[int] | None = None
        self.pid = 0

    async def start(self) -> None:
        """Forks it."""
        reader, self._writer = await asyncio.open_unix_connection(str(self._socket))
        self._writer.write(json.dumps(self._order).encode() + b"\n")
        self.pid = json.loads(await reader.readline())["pid"]
        self._ending = asyncio.create_task(self._end(reader, self._writer))

    @staticmethod
    async def _end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        code: int = json.loads(await reader.readline())["ended"]
        writer.close()
        return code

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._ending is not None and not self._ending.done()

    async def ended(self) -> int:
        """Its exit code, once it has one."""
        assert self._ending is not None, f"{self.name} was not started"
        return await asyncio.shield(self._ending)

    def signal(self, number: int) -> None:
        """Sends a signal to it."""
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def stop(self, grace: float = 10) -> None:
        """Terminates it, and kills it after `grace` seconds."""
        if self._ending is None:
            return
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.ended(), grace)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.ended()


class Zygote:
    """The process that forks them; a context manager that leaves nothing behind."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="sb-zygote-"))  # a socket's path is short
        self._socket = self._directory / "socket"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(self._socket)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said.strip() == _READY, f"the zygote did not start: {said!r}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()
        shutil.rmtree(self._directory, ignore_errors=True)

    def process(self, name: str, module: str, log: Path, environment: Mapping[str, str]) -> Forked:
        """`python -m <module> serve`, still to be started."""
        return Forked(self._socket, name, module, log, environment)


def _load() -> None:
    """All that a webhook process imports."""
    import switchboard.cli.main
    import switchboard.engines.script
    import switchboard.log.postgres
    import switchboard.log.resources
    import switchboard.settings
    import switchboard.telemetry.logs
    import switchboard.webhook.main  # noqa: F401
    from switchboard.providers.twilio.api import TwilioConnections  # noqa: F401


class _Nursery:
    """The zygote's own loop: no thread and no event loop, or what is forked would inherit a half of it."""

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        self._children: dict[int, socket.socket] = {}
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()

    def run(self) -> NoReturn:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for end in (self._listener, self._woken):
            self._selector.register(end, selectors.EVENT_READ)
        print(_READY, flush=True)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._bear()
                elif key.fileobj is self._woken:
                    self._woken.recv(4096)
                    self._bury()
                else:
                    self._leave(key.data)

    def _bear(self) -> None:
        connection, _ = self._listener.accept()
        with connection.makefile("rb") as reader:
            order = json.loads(reader.readline())
        pid = os.fork()
        if pid == 0:
            self._live(order, connection)
        self._children[pid] = connection
        self._selector.register(connection, selectors.EVENT_READ, pid)
        connection.sendall(json.dumps({"pid": pid}).encode() + b"\n")

    def _live(self, order: dict[str, Any], connection: socket.socket) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self._listener, self._woken, self._wake, connection, *self._children.values()):
                end.close()
            self._selector.close()
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.setsid()
            nothing, log = os.open(os.devnull, os.O_RDONLY), os.open(order["log"], os.O_CREAT | os.O_APPEND | os.O_RDWR)
            for target, source in enumerate((nothing, log, log)):
                os.dup2(source, target)
            os.environ.update(order["environment"])
            sys.argv = [order["module"], *order["arguments"]]
            runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _bury(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                connection = self._children.pop(pid)
                self._selector.unregister(connection)
                with suppress(OSError):
                    connection.sendall(json.dumps({"ended": os.waitstatus_to_exitcode(status)}).encode() + b"\n")
                connection.close()

    def _leave(self, pid: int) -> None:
        """Whoever ordered it is gone."""
        with suppress(OSError):
            if self._children[pid].recv(1):
                return
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _load()
    gc.collect()
    gc.freeze()
    _Nursery(sys.argv[1]).run()
