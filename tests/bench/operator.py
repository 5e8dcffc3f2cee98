"""The operator at scale, beside kopf's own floor: time, CPU and memory an object, calls to Twilio at rest.

`python -m tests.bench.operator [--connectors N] [--agents N]`: from nothing to all Connected, one change among them, a
restart, and at rest. `--scaling 100,3000`: the cost of an object at each size. `--growth 25000`: memory after so many
reconciles. Cluster, simulator and operator are processes of this machine; CPU is that of the operator's process alone
(`/proc/PID/stat`), memory its resident set. kopf's own floor is taken before and after: a busy machine makes every
figure larger, and only ratios of one run say something.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.gauges import counted, cpu, memory, resting, writes

from switchboard.kube import resources
from switchboard.kube.client import KubeApi, Synced
from switchboard.sandbox import stack
from switchboard.sandbox.processes import Process
from switchboard.sandbox.stack import reason
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec

NAMESPACE = "bench"
SHARED = 20
"""Connectors of each Agent, the most that one may have, for what a connector costs by itself."""
FLOOR = """
import asyncio, kopf
@kopf.on.startup()
def configure(settings, **_):
    settings.posting.enabled = False
    settings.scanning.disabled = True
@kopf.on.create("switchboard.dev", "v1alpha1", "twilioconnectors")
@kopf.on.resume("switchboard.dev", "v1alpha1", "twilioconnectors")
async def made(patch, **_):
    patch.status["webhookURL"] = "https://bench.example.com/"
@kopf.on.login()
def login(**kwargs):
    return kopf.login_with_kubeconfig(**kwargs)
kopf.run(clusterwide=True, standalone=True)
"""
"""kopf's change handler with its defaults, which writes one status: what every operator of it costs at least."""


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    seconds: float
    cpu: float
    memory: float
    """MiB resident at the end."""


async def count(api: KubeApi, kind: Any, wanted: int, holds: Any) -> None:
    """Waits until so many objects are so."""
    good: set[str] = set()
    watch = api.watch(kind, NAMESPACE)
    async for event in watch:
        for obj in event.items if isinstance(event, Synced) else [event.object]:
            (good.add if holds(obj) else good.discard)(obj["metadata"]["name"])
        if len(good) >= wanted:
            break
    await watch.aclose()


class Bench:
    """One cluster with its simulator, and the operator that is measured."""

    def __init__(self, cluster: Any, kubectl: Any, url: str, control: Any, directory: Path) -> None:
        self.cluster, self.kubectl, self.control = cluster, kubectl, control
        self.directory = directory
        self.port = 0
        self.environment = {
            "KUBECONFIG": str(cluster.kubeconfig),
            "SWITCHBOARD_PUBLIC_URL": "https://agents.example.com",
            "SWITCHBOARD_TWILIO_BASE_URL": url,
            "SWITCHBOARD_CHECK_INTERVAL": "300",
        }

    @asynccontextmanager
    async def operator(self, name: str, **environment: str) -> AsyncIterator[Process]:
        """The operator as a process."""
        async with stack.operator(self.directory, {**self.environment, **environment}, name=name) as process:
            log = (self.directory / f"{name}.log").read_text(encoding="utf-8")
            self.port = next(json.loads(it)["health_port"] for it in log.splitlines() if "health_port" in it)
            yield process

    async def account(self, numbers: list[str]) -> dict[str, Any]:
        """An account with numbers, and the Secret of its credentials."""
        account, token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
        await self.control.create_account(
            AccountSpec(
                sid=account,
                auth_token=token,
                numbers=[NumberSpec(phone_number=it, sms_url="https://old.example.com/") for it in numbers],
            )
        )
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "twilio", "namespace": NAMESPACE, "labels": {"switchboard.dev/use": "true"}},
            "stringData": {"accountSid": account, "authToken": token},
        }

    async def apply(self, objects: list[dict[str, Any]]) -> None:
        """Applies many objects, some at a time."""
        places = asyncio.Semaphore(8)

        async def one(obj: dict[str, Any]) -> None:
            async with places:
                await self.kubectl.apply([obj])

        await asyncio.gather(*(one(obj) for obj in objects))


def connector(index: int, number: str, fallback: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"credentials": {"secretRef": {"name": "twilio"}}, "fromNumber": number}
    if fallback:
        spec["access"] = {"policy": "Open", "onboardingMessage": fallback}
    return {
        "apiVersion": "switchboard.dev/v1alpha1",
        "kind": "TwilioConnector",
        "metadata": {"name": f"c{index:04d}", "namespace": NAMESPACE},
        "spec": spec,
    }


def agent(index: int, connectors: list[int]) -> dict[str, Any]:
    template = {
        "engine": {"script": {"fallback": "Hello."}},
        "connectors": [{"name": f"c{it:04d}"} for it in connectors],
        "webhook": {"replicas": 0},
    }
    return {
        "apiVersion": "switchboard.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": f"a{index:04d}", "namespace": NAMESPACE},
        "spec": {"template": template},
    }


async def floor(bench: Bench, size: int) -> Cost:
    """kopf's own: a process whose handler writes one status for each connector."""
    script = bench.directory / "floor.py"
    script.write_text(FLOOR, encoding="utf-8")
    process = Process("floor", [sys.executable, str(script)], bench.directory / "floor.log", bench.environment)
    await process.start()
    try:
        numbers = [f"+1500{index:07d}" for index in range(size)]
        before = await resting(process.pid)
        begun = time.monotonic()
        await bench.apply([connector(index, number) for index, number in enumerate(numbers)])
        await count(
            bench.kubectl.api, resources.TWILIO_CONNECTORS, size, lambda it: "webhookURL" in it.get("status", {})
        )
        return Cost(time.monotonic() - begun, cpu(process.pid) - before, memory(process.pid))
    finally:
        await process.stop()


async def clear(bench: Bench) -> None:
    """Empties the namespace."""
    await bench.kubectl.delete_namespace(NAMESPACE)
    await bench.kubectl.until(resources.NAMESPACES, NAMESPACE, lambda _: False, gone=True, timeout=300)


async def make_namespace(bench: Bench) -> None:
    await bench.kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])


def is_connected(obj: Any) -> bool:
    return reason(obj) == "Connected"


async def connect(bench: Bench, connectors: int, agents: int) -> float:
    """Applies so many of both; the seconds until all are as they should be."""
    numbers = [f"+1415{index:07d}" for index in range(connectors)]
    per_agent = [[it for it in range(connectors) if it % agents == index] for index in range(agents)]
    objects = [await bench.account(numbers)]
    objects += [connector(index, number) for index, number in enumerate(numbers)]
    objects += [agent(index, its) for index, its in enumerate(per_agent)]
    begun = time.monotonic()
    await bench.apply(objects)
    await count(bench.kubectl.api, resources.TWILIO_CONNECTORS, connectors, is_connected)
    seconds = time.monotonic() - begun
    await count(bench.kubectl.api, resources.AGENTS, agents, lambda it: reason(it) == "Serving")
    return seconds


async def measure(bench: Bench, connectors: int, agents: int) -> dict[str, float]:
    """From nothing to all Connected, one change among them, at rest, and a restart."""
    result: dict[str, float] = {}
    async with bench.operator("bench") as process:
        used, at_boot = await resting(process.pid), memory(process.pid)
        result["seconds until all are Connected"] = await connect(bench, connectors, agents)
        result["CPU s of the operator, its start left out"] = cpu(process.pid) - used
        spent = result["CPU s of the operator, its start left out"]
        result["CPU ms a connector, its share of the Agents included"] = 1000 * spent / connectors
        result["writes a connector, its share of the Agents' included"] = await writes(bench.port) / connectors
        for kind, many in (("TwilioConnector", connectors), ("Agent", agents)):
            done = await counted(bench.port, "switchboard_reconciles_total", f'kind="{kind}"')
            result[f"reconciles of each {kind}"] = done / many
        of_connectors = await counted(bench.port, "switchboard_kubernetes_writes_total", 'resource="twilioconnectors"')
        result["patches of each TwilioConnector"] = of_connectors / connectors
        result["MiB at boot"] = at_boot
        result["MiB at the peak"] = memory(process.pid, "VmHWM")
        seen, made = len(await bench.control.requests()), await writes(bench.port)
        begun = time.monotonic()
        await bench.apply([connector(0, "+14150000000", "Another word.")])
        await count(
            bench.kubectl.api,
            resources.TWILIO_CONNECTORS,
            1,
            lambda it: (
                it["metadata"]["name"] == "c0000" and it["status"].get("observedGeneration") == 2 and is_connected(it)
            ),
        )
        result["seconds until one change is Connected"] = time.monotonic() - begun
        result["writes of one change"] = await writes(bench.port) - made
        result["requests to Twilio of one change"] = len(await bench.control.requests()) - seen
    before = len(await bench.control.requests())
    begun = time.monotonic()
    async with bench.operator("restart") as process:
        await settled(bench)
        result["CPU s of a restart with all settled"] = cpu(process.pid) - used
        result["seconds of a restart with all settled"] = time.monotonic() - begun
        result["writes of a restart"] = await writes(bench.port)
        requests = (await bench.control.requests())[before:]
        result["requests to Twilio of a restart"] = len(requests)
        result["writes to Twilio of a restart"] = sum(1 for it in requests if it.method != "GET")
    return result


async def settled(bench: Bench) -> None:
    """Waits until the operator has reconciled everything once: nothing waits, and the count stands still.

    Asked seldom: its answer costs the operator some milliseconds.
    """
    last, still = -1, 0
    while still < 3:
        done = await counted(bench.port, "switchboard_reconciles_total")
        still = still + 1 if done == last and done > 0 else 0
        last = done
        await asyncio.sleep(1)


async def reconciled(bench: Bench, times: int) -> None:
    """Waits until the operator has reconciled so often."""
    while await counted(bench.port, "switchboard_reconciles_total") < times:
        await asyncio.sleep(0.3)


async def at_rest(bench: Bench, connectors: int, agents: int, interval: int = 10, intervals: int = 3) -> float:
    """Requests to Twilio for each connector and interval while nothing changes."""
    async with bench.operator("rest", SWITCHBOARD_CHECK_INTERVAL=str(interval)):
        await reconciled(bench, connectors + agents)
        before = len(await bench.control.requests())
        await asyncio.sleep(interval * intervals)
        return (len(await bench.control.requests()) - before) / connectors / intervals


async def grown(bench: Bench, reconciles: int, connectors: int = 200, agents: int = 60) -> tuple[float, float]:
    """MiB after a tenth of so many reconciles and after all of them, every tenth of them one of a changed manifest."""
    async with bench.operator("growth", SWITCHBOARD_CHECK_INTERVAL="1") as process:
        await connect(bench, connectors, agents)
        changing = asyncio.ensure_future(_change(bench, connectors))
        try:
            await reconciled(bench, reconciles // 10)
            first = memory(process.pid)
            await reconciled(bench, reconciles)
            return first, memory(process.pid)
        finally:
            changing.cancel()


async def _change(bench: Bench, connectors: int) -> None:
    for turn in itertools.count():
        index = turn % connectors
        await bench.apply([connector(index, f"+1415{index:07d}", f"Word {turn}.")])
        await asyncio.sleep(0.05)


def main() -> None:
    """Prints the figures with their setup."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connectors", type=int, default=1000)
    parser.add_argument("--agents", type=int, default=300)
    parser.add_argument("--scaling", help="connectors, as 100,3000: only the cost of an object at each size")
    parser.add_argument("--growth", type=int, help="reconciles: only what they leave in memory")
    arguments, _ = parser.parse_known_args()
    asyncio.run(_run(arguments))


@asynccontextmanager
async def _bench() -> AsyncIterator[Bench]:
    directory = Path(tempfile.mkdtemp(prefix="switchboard-bench-"))
    async with AsyncExitStack() as running:
        cluster = await running.enter_async_context(stack.cluster(directory))
        url, control = await running.enter_async_context(stack.simulator(directory))
        kubectl = await running.enter_async_context(stack.kubectl(cluster.kubeconfig))
        await kubectl.install()
        bench = Bench(cluster, kubectl, url, control, directory)
        await make_namespace(bench)
        yield bench


async def _run(arguments: argparse.Namespace) -> None:
    if arguments.growth:
        async with _bench() as bench:
            first, last = await grown(bench, arguments.growth)
        show("MiB after a tenth of the reconciles", first)
        show(f"MiB after {arguments.growth} reconciles", last)
        show("growth in per cent", 100 * (last / first - 1), "(goal ≤ 2)")
    elif arguments.scaling:
        costs = [(int(size), await _cost(int(size))) for size in arguments.scaling.split(",")]
        for size, cost in costs:
            show(f"CPU ms an object at {size} connectors", cost)
        show("the last ÷ the first", costs[-1][1] / costs[0][1], "(goal ≤ 1.2)")
    else:
        await _at_scale(arguments.connectors, arguments.agents)


async def _cost(connectors: int) -> float:
    """CPU ms of the operator for each connector and Agent, in a cluster of their own."""
    agents = max(1, connectors * 3 // 10)
    return 1000 * await _spent(connectors, agents) / (connectors + agents)


async def _spent(connectors: int, agents: int) -> float:
    """CPU seconds of the operator, its start left out, for so many objects in a cluster of their own."""
    async with _bench() as bench, bench.operator("alone") as process:
        used = await resting(process.pid)
        await connect(bench, connectors, agents)
        return cpu(process.pid) - used


async def _at_scale(connectors: int, agents: int) -> None:
    async with _bench() as bench:
        floors = [await floor(bench, connectors)]
        await clear(bench)
        await make_namespace(bench)
        result = await measure(bench, connectors, agents)
        result["requests to Twilio a connector and interval, at rest"] = await at_rest(bench, connectors, agents)
    async with _bench() as other:
        floors.append(await floor(other, connectors))
    base = statistics.mean(it.cpu for it in floors)
    kopf = 1000 * base / connectors
    print(f"{connectors} connectors, {agents} agents without pods, {os.cpu_count()} cores; logs in {bench.directory}")
    for it in floors:
        print(
            f"kopf's floor: {1000 * it.cpu / connectors:.2f} CPU ms an object, {it.seconds:.1f} s, {it.memory:.0f} MiB"
        )
    for name, value in result.items():
        show(name, value)
    creation = result["CPU ms a connector, its share of the Agents included"] / kopf
    show(f"CPU a connector, {agents} Agents laid on them, ÷ kopf’s", creation)
    each = creation * connectors / (connectors + agents)
    show("CPU an object, connector or Agent, ÷ kopf’s", each, "(goal ≤ 4, stretch ≤ 2)")
    restart = 1000 * result["CPU s of a restart with all settled"] / (connectors + agents)
    show("CPU an object of a restart ÷ kopf’s create", restart / kopf, "(goal ≤ 0.5, stretch ≤ 0.3)")
    growth = result["MiB at the peak"] / result["MiB at boot"]
    show("memory at the peak ÷ at boot", growth, "(goal ≤ 1.6, stretch ≤ 1.4)")
    # An Agent's own work is some fifteen requests: where many connectors share one, the figure is that of a connector.
    shared = 1000 * await _spent(connectors, -(-connectors // SHARED)) / connectors
    result[f"CPU ms a connector, {SHARED} to an Agent"] = shared
    show(f"CPU a connector, {SHARED} to an Agent, ÷ kopf’s", shared / kopf, "(goal ≤ 4, stretch ≤ 2)")
    print(json.dumps({"kopf": [it.__dict__ for it in floors], **result}))


def show(name: str, value: float, goal: str = "") -> None:
    """Prints a figure in its column."""
    print(f"{name:<60} {value:10.2f}   {goal}".rstrip())


if __name__ == "__main__":
    main()
