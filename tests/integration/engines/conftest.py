"""Servers that an engine talks to, each as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from switchboard.api.engine import Engine as Spec
from switchboard.engines import Engine, build

STUBS = Path(__file__).parent / "stubs"


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str

    async def plan(self, *answers: dict[str, Any]) -> None:
        """Answers that the next requests get instead of the ordinary ones."""
        await self._post("_plan", list(answers))

    async def requests(self) -> list[dict[str, Any]]:
        """What it was asked, in order."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/_requests") as response:
            asked: list[dict[str, Any]] = await response.json()
            return asked

    async def forget(self) -> None:
        """Makes it as new."""
        await self._post("_forget", None)

    async def _post(self, path: str, body: object) -> None:
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}/{path}", json=body) as response:
            response.raise_for_status()


class Servers:
    """Scripts that run as processes and print their address first; one of a kind serves all tests of a worker."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, ...], tuple[subprocess.Popen[str], Server]] = {}

    def get(self, script: Path, *arguments: str) -> Server:
        """The server that a script is, started if it is not running."""
        command = (sys.executable, str(script), *arguments)
        if command not in self._running or self._running[command][0].poll() is not None:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("http://"), f"{script.name} did not start"
            self._running[command] = process, Server(line.strip())
        return self._running[command][1]

    def stop(self) -> None:
        """Ends all."""
        for process, _ in self._running.values():
            process.kill()
            process.communicate()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The processes of this worker."""
    started = Servers()
    yield started
    started.stop()


Secrets = Callable[[str, str], None]
Make = Callable[[Spec], Engine]
Start = Callable[..., Awaitable[Server]]


@pytest.fixture
def start(servers: Servers) -> Start:
    """Gives a stub by its name, as new."""

    async def begin(name: str, *arguments: str) -> Server:
        server = servers.get(STUBS / f"{name}.py", *arguments)
        if name != "mcp_stub":
            await server.forget()
        return server

    return begin


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    """Writes one key of a mounted Secret, or replaces it as kubelet does."""

    def write(path: str, value: str) -> None:
        file = tmp_path / "secrets" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"..{file.name}")
        new.write_text(value)
        new.replace(file)

    return write


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Builds engines whose secrets are those that `secrets` wrote, and closes them in the end."""
    made: list[Engine] = []

    def build_one(spec: Spec) -> Engine:
        made.append(build(spec, secrets=tmp_path / "secrets"))
        return made[-1]

    yield build_one
    for engine in made:
        await engine.close()
