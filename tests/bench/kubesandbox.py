"""What the embedded API costs: start, 5,000 custom resources created, listed, watched and patched, memory.

Ratios are of runs side by side in one go: against a server of the same kind that answers nothing, and against itself
with a tenth of the objects.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from kubesandbox.assembly import Options, Sandbox

OBJECTS = 5000
RUNS = 5
CLIENTS = 8
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lines.bench.example.com"},
    "spec": {
        "group": "bench.example.com",
        "scope": "Namespaced",
        "names": {"plural": "lines", "singular": "line", "kind": "Line", "listKind": "LineList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["number"],
                                "x-kubernetes-validations": [{"rule": "self.replicas <= 10"}],
                                "properties": {
                                    "number": {"type": "string", "pattern": "^\\+[1-9][0-9]{1,14}$"},
                                    "replicas": {"type": "integer", "default": 1},
                                },
                            },
                            "status": {"type": "object", "properties": {"count": {"type": "integer"}}},
                        },
                    }
                },
            }
        ],
    },
}
PATH = "/apis/bench.example.com/v1/namespaces/default/lines"


def rss() -> int:
    """This process's resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def start_seconds(environment: dict[str, str]) -> tuple[float, float]:
    """From exec to the line that says it is ready: the time, and what of it the processor worked."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "kubesandbox", "--kubeconfig", f"{directory}/kubeconfig"]
        begun = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
            assert process.stdout is not None
            process.stdout.readline()
            took = time.perf_counter() - begun
            worked = int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9
            process.terminate()
    return took, worked


def starts() -> tuple[tuple[float, float], tuple[float, float]]:
    """Medians of both: with bytecode kept, as it is of an installed package, and as this environment has it."""
    with tempfile.TemporaryDirectory() as directory:
        plain = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        compiled = plain | {"PYTHONPYCACHEPREFIX": directory}
        start_seconds(compiled)  # the first one compiles
        installed = [start_seconds(compiled) for _ in range(RUNS)]
    return _medians(installed), _medians([start_seconds(dict(os.environ)) for _ in range(RUNS)])


def _medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    took, worked = zip(*pairs, strict=True)
    return statistics.median(took), statistics.median(worked)


async def spread(count: int, do: Callable[[int], Awaitable[None]]) -> float:
    """Do something `count` times with a few clients at once; the rate a second."""
    numbers = iter(range(count))

    async def client() -> None:
        for number in numbers:
            await do(number)

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())
    return count / (time.perf_counter() - begun)


class Bench:
    """One server in this process, filled with a number of objects."""

    def __init__(self, url: str, session: aiohttp.ClientSession, count: int) -> None:
        self.url, self.session, self.count = url, session, count

    async def _send(self, method: str, path: str, body: object, content_type: str = "application/json") -> None:
        headers = {"Content-Type": content_type}
        async with self.session.request(method, self.url + path, data=json.dumps(body), headers=headers) as answer:
            await answer.read()
            assert answer.status < 300, await answer.text()

    async def define(self) -> None:
        await self._send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)

    async def nothing(self) -> float:
        async def one(_: int) -> None:
            async with self.session.get(self.url + "/livez") as answer:
                await answer.read()

        return await spread(2000, one)

    async def create(self) -> float:
        async def one(number: int) -> None:
            meta = {"name": f"line-{number:05}", "labels": {"app": f"a{number % 10}"}}
            body = {"apiVersion": "bench.example.com/v1", "kind": "Line", "metadata": meta}
            await self._send("POST", PATH, {**body, "spec": {"number": f"+1500{number:05}"}})

        return await spread(self.count, one)

    async def patch(self, changes: int, value: int) -> float:
        async def one(number: int) -> None:
            path = f"{PATH}/line-{number % self.count:05}/status"
            body = {"status": {"count": value + number}}
            await self._send("PATCH", path, body, "application/merge-patch+json")

        return await spread(changes, one)

    async def list_seconds(self) -> float:
        begun = time.perf_counter()
        async with self.session.get(self.url + PATH) as answer:
            await answer.read()
        return time.perf_counter() - begun

    async def watch(self, changes: int, value: int) -> float:
        """Patch with 20 watchers on; the rate of events over all of them."""

        async def follow(started: asyncio.Event) -> None:
            async with self.session.get(self.url + PATH, params={"watch": "1", "resourceVersion": revision}) as answer:
                started.set()
                for _ in range(changes):
                    await answer.content.readline()

        async with self.session.get(self.url + PATH, params={"limit": "1"}) as answer:
            revision = (await answer.json())["metadata"]["resourceVersion"]
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                started = asyncio.Event()
                group.create_task(follow(started))
                await started.wait()
            await self.patch(changes, value)
        return 20 * changes / (time.perf_counter() - begun)

    async def stall_seconds(self) -> float:
        """The longest that a small request waits while the whole list is read again and again."""
        worst, done = 0.0, asyncio.Event()

        async def probe() -> None:
            nonlocal worst
            while not done.is_set():
                begun = time.perf_counter()
                async with self.session.get(self.url + "/livez") as answer:
                    await answer.read()
                worst = max(worst, time.perf_counter() - begun)

        async with asyncio.TaskGroup() as group:
            group.create_task(probe())
            for _ in range(RUNS):
                await self.list_seconds()
            done.set()
        return worst


async def measure(count: int) -> dict[str, float]:
    """All figures with `count` objects."""
    async with Sandbox(Options(controllers=False, node=False)) as sandbox, aiohttp.ClientSession() as session:
        bench = Bench(sandbox.url, session, count)
        await bench.define()
        figures = {"nothing": await bench.nothing()}
        gc.collect()
        before = rss()
        figures["create"] = await bench.create()
        gc.collect()
        figures["memory"] = (rss() - before) / count
        figures["patch"] = await bench.patch(min(count, 2000), 1)
        figures["watch"] = await bench.watch(500, 100_000)
        figures["list"] = statistics.median([await bench.list_seconds() for _ in range(RUNS)])
        figures["stall"] = await bench.stall_seconds()
        return figures


def main() -> None:
    """Print the figures."""
    (started, worked), (here, worked_here) = starts()
    few = asyncio.run(measure(OBJECTS // 10))
    many = asyncio.run(measure(OBJECTS))
    print(f"kubesandbox, {OBJECTS} custom resources, {CLIENTS} clients in the server's own process")
    print(
        f"  start to ready                  {started * 1000:8.0f} ms   of work {worked * 1000:.0f} ms (goal < 300 ms)"
    )
    kept = "bytecode is not kept" if os.environ.get("PYTHONDONTWRITEBYTECODE") else "as this environment has it"
    print(f"  … here: {kept:22}  {here * 1000:8.0f} ms   of work {worked_here * 1000:.0f} ms")
    for name, text in (("create", "creates/s"), ("patch", "status patches/s")):
        ratio, flat = many[name] / many["nothing"], few[name] / many[name]
        print(f"  {text:30}  {many[name]:8.0f}      {ratio:.2f} × answering nothing; cost ÷ at a tenth {flat:.2f}")
    events, lists = few["watch"] / many["watch"], many["list"] / few["list"] / 10
    memory = many["memory"] / few["memory"]
    print(f"  events/s to 20 watchers         {many['watch']:8.0f}      cost ÷ at a tenth {events:.2f}")
    print(f"  list of all                     {many['list'] * 1000:8.1f} ms   {lists:.2f} × ten lists of a tenth")
    print(f"  longest wait beside lists       {many['stall'] * 1000:8.1f} ms")
    print(f"  memory an object                {many['memory'] / 1024:8.1f} KiB  {memory:.2f} × at a tenth")


if __name__ == "__main__":
    main()
