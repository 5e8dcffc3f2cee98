"""The demo as a process, with all that it started looked after from outside."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
SECONDS = 60


def command(directory: Path, *arguments: str) -> list[str]:
    """How the demo is started."""
    return [sys.executable, "-m", "switchboard", "demo", "--directory", str(directory / "demo"), *arguments]


def environment(directory: Path) -> Mapping[str, str]:
    """The test's own, but with a folder for temporary files that can be looked into."""
    temporary = directory / "tmp"
    temporary.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(temporary), "TERM": "xterm", "COLUMNS": "80"}


class Family:
    """Every process that descends from one, by handles that no other process can inherit."""

    def __init__(self, parent: int) -> None:
        self.names: dict[int, str] = {}
        parents = {int(entry): _parent(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()}
        found = [parent]
        for pid in found:
            found += [child for child, its in parents.items() if its == pid]
        self._handles: dict[int, int] = {}
        for pid in found[1:]:
            try:
                self._handles[pid] = os.pidfd_open(pid)
                self.names[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue

    def pid(self, part: str) -> int:
        """The process with that in its command line."""
        return next(pid for pid, name in self.names.items() if part in name)

    def left(self, seconds: float = 10) -> list[str]:
        """What has not ended after `seconds`, as command lines."""
        deadline = time.monotonic() + seconds
        waiting = dict(self._handles)
        for pid, handle in self._handles.items():
            if select.select([handle], [], [], max(deadline - time.monotonic(), 0))[0]:
                del waiting[pid]
            os.close(handle)
        return [self.names.get(pid, str(pid)) for pid in waiting]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


class Piped:
    """The demo without a terminal."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self.said = ""

    @classmethod
    async def start(cls, directory: Path, words: Sequence[str] | None = None, cwd: Path = ROOT) -> Piped:
        return cls(
            await asyncio.create_subprocess_exec(
                *(words or command(directory)),
                cwd=cwd,
                env=environment(directory),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        )

    async def until(self, text: str) -> None:
        """Returns when it has said that."""
        assert self._process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while text not in self.said:
                line = await self._process.stdout.readline()
                assert line, f"it ended before it said {text!r}:\n{self.said}"
                self.said += line.decode()

    async def end(self) -> int:
        """Its exit code; `said` is then all that it said."""
        assert self._process.stdout is not None
        async with asyncio.timeout(SECONDS):
            self.said += (await self._process.stdout.read()).decode()
            return await self._process.wait()


class Terminal:
    """The demo on a terminal of its own, as its foreground process group."""

    def __init__(self, directory: Path) -> None:
        self.said = ""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            words = command(directory)
            os.execve(words[0], words, dict(environment(directory)))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, text: str) -> str:
        """What it said since the last `until`, up to that text."""
        deadline = time.monotonic() + SECONDS
        while text not in self.said:
            assert select.select([self._master], [], [], max(deadline - time.monotonic(), 0))[0], (
                f"it did not say {text!r}:\n{self.said}"
            )
            try:
                chunk = os.read(self._master, 1 << 16)
            except OSError:  # Linux: nobody has the terminal open any more
                chunk = b""
            assert chunk, f"it ended before it said {text!r}:\n{self.said}"
            self.said += chunk.decode(errors="replace")
        before, _, self.said = self.said.partition(text)
        return before

    def hang_up(self) -> None:
        """The terminal goes away."""
        os.close(self._master)
        self._master = -1

    def end(self) -> int:
        """Its exit code, or minus the signal that ended it."""
        handle = os.pidfd_open(self.pid)
        deadline = time.monotonic() + SECONDS
        while not select.select([handle], [], [], 0)[0]:
            readable = [handle, *([self._master] if self._master >= 0 else [])]
            ready = select.select(readable, [], [], max(deadline - time.monotonic(), 0))[0]
            if not ready:
                os.kill(self.pid, signal.SIGKILL)
            elif handle not in ready and not self._drain():
                select.select([handle], [], [], max(deadline - time.monotonic(), 0))
        os.close(handle)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _drain(self) -> bool:
        try:
            self.said += os.read(self._master, 1 << 16).decode(errors="replace")
        except OSError:
            return False
        return True
