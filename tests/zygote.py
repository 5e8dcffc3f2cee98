"""The product's processes by fork: what they import is loaded once, so that starting one costs milliseconds.

`python -m tests.zygote DESCRIPTOR` loads it and serves the listening socket that it was handed. Each connection orders
one process, which is its own session with the environment, folder and output that were asked for; is told its id; asks
for its exit code once it has ended, until when it stays a zombie; and takes it along when it is closed before.
`tests.forking` is the other end.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from tests import forking

_PR_SET_PDEATHSIG = 1
_PRELOADED = (
    "kubesandbox.assembly",
    "kubesandbox.cli",
    "switchboard.cli.main",
    "switchboard.controller.main",
    "switchboard.engines.endpoint",
    "pydantic_ai.mcp",
    "pydantic_ai.models.openai",
    "switchboard.engines.model.engine",
    "switchboard.engines.script",
    "switchboard.log.postgres",
    "switchboard.log.resources",
    "switchboard.providers.twilio.api",
    "switchboard.sandbox.twilio.server",
    "switchboard.webhook.checking",
    "switchboard.webhook.main",
)
"""What processes of the product import, most of it inside of functions."""


class _Nursery:
    """The zygote's own loop: no thread and no event loop, or what is forked would inherit a half of it."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._children: dict[socket.socket, int] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> NoReturn:
        self._selector.register(self._listener, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._bear()
                else:
                    self._bury(key.fileobj)

    def _bear(self) -> None:
        connection, _ = self._listener.accept()
        message, outputs, _, _ = socket.recv_fds(connection, forking.LARGEST, 2)
        if len(outputs) != 2:  # whoever called is gone already
            connection.close()
            return
        pid = os.fork()
        if pid == 0:
            _live(json.loads(message), outputs, self._listener.getsockname())
        for output in outputs:
            os.close(output)
        self._children[connection] = pid
        self._selector.register(connection, selectors.EVENT_READ)
        with suppress(OSError):
            connection.sendall(b"%d\n" % pid)

    def _bury(self, connection: Any) -> None:
        """It ended and its code is asked for, or whoever ordered it is gone."""
        pid = self._children.pop(connection)
        self._selector.unregister(connection)
        try:
            asked = connection.recv(1)
        except OSError:
            asked = b""
        if not asked:
            with suppress(ProcessLookupError):  # before it is its own session's
                os.killpg(pid, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(OSError):
            connection.sendall(b"%d\n" % code)
        connection.close()


def _live(order: dict[str, Any], outputs: list[int], address: str) -> NoReturn:
    """What the fork does: becomes what was ordered."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((nothing, *outputs)):
            os.dup2(source, target)
        os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
        os.chdir(order["folder"])
        _surround(order["environment"])
        sys.argv = [order["module"], *order["arguments"]]
        sys.path[0] = order["folder"]
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(write_through=bool(order["environment"].get("PYTHONUNBUFFERED")))  # type: ignore[union-attr]
        if order["module"] == "kubesandbox":  # its pods are forked here, too
            forking.pods(address)
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        if ended.code is not None and not isinstance(ended.code, int):
            print(ended.code, file=sys.stderr)
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    finally:
        # As an interpreter ends, but for taking everything apart that was loaded.
        with suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _surround(environment: dict[str, str]) -> None:
    """Sets the environment, also where /proc/PID/environ shows it: what the process was started with (proc(5))."""
    os.environ.clear()
    fields = Path("/proc/self/stat").read_text().rpartition(") ")[2].split()
    start, end = int(fields[47]), int(fields[48])
    block = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in environment.items())
    assert len(block) <= end - start, "the environment is larger than what the zygote keeps free"
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, block, len(block))
    os.environ.update(environment)


def main(descriptor: int) -> NoReturn:
    """Loads, and forks for ever."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for name in _PRELOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a thread would not be forked along"
    gc.collect()
    gc.freeze()
    _Nursery(socket.socket(fileno=descriptor)).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
