"""The operator at scale, beside kopf's own floor: time, CPU and memory an object, calls to Twilio at rest.

`python -m tests.bench.operator [--connectors N] [--agents N]`. Cluster, simulator and operator are processes of
this machine; CPU is that of the operator's process alone (`/proc/PID/stat`), memory its resident set.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from switchboard.kube import resources
from switchboard.kube.client import KubeApi, Synced
from switchboard.sandbox import stack
from switchboard.sandbox.processes import Process
from switchboard.sandbox.stack import reason
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec

TICKS = os.sysconf("SC_CLK_TCK")
NAMESPACE = "bench"
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


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int, what: str = "VmRSS") -> float:
    """MiB of a process: resident now, or at its peak (`VmHWM`)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise ValueError(what)


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


async def resting(pid: int) -> float:
    """The CPU that a process has taken once it takes no more: what its start cost."""
    last = -1.0
    while (now := cpu(pid)) != last:
        last = now
        await asyncio.sleep(0.5)
    return now


async def counted(port: int, name: str, label: str = "") -> int:
    """The sum of one of the operator's counters over all its labels, or those that hold `label`."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as response:
        text = await response.text()
    lines = (line for line in text.splitlines() if line.startswith(name + "{") and label in line)
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))


async def writes(port: int) -> int:
    """Writes to the Kubernetes API that the operator has counted."""
    return await counted(port, "switchboard_kubernetes_writes_total")


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
    async def operator(self, name: str) -> AsyncIterator[Process]:
        """The operator as a process."""
        async with stack.operator(self.directory, self.environment, name=name) as process:
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


async def measure(bench: Bench, connectors: int, agents: int) -> dict[str, float]:
    """From nothing to all Connected, one change among them, at rest, and a restart."""
    numbers = [f"+1415{index:07d}" for index in range(connectors)]
    per_agent = [[it for it in range(connectors) if it % agents == index] for index in range(agents)]
    result: dict[str, float] = {}
    objects = [await bench.account(numbers)]
    objects += [connector(index, number) for index, number in enumerate(numbers)]
    objects += [agent(index, its) for index, its in enumerate(per_agent)]
    api = bench.kubectl.api
    async with bench.operator("bench") as process:
        used, at_boot = await resting(process.pid), memory(process.pid)
        begun = time.monotonic()
        await bench.apply(objects)
        await count(api, resources.TWILIO_CONNECTORS, connectors, is_connected)
        result["seconds until all are Connected"] = time.monotonic() - begun
        await count(api, resources.AGENTS, agents, lambda it: reason(it) == "Serving")
        result["CPU s of the operator, its start left out"] = cpu(process.pid) - used
        result["CPU ms a connector"] = 1000 * result["CPU s of the operator, its start left out"] / connectors
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
        await bench.apply([connector(0, numbers[0], "Another word.")])
        await count(
            api,
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
    """Waits until the operator has reconciled everything once: nothing waits, and the count stands still."""
    last, still = -1.0, 0
    async with aiohttp.ClientSession() as session:
        while still < 5:
            async with session.get(f"http://127.0.0.1:{bench.port}/metrics") as response:
                text = await response.text()
            done = sum(
                float(line.rpartition(" ")[2])
                for line in text.splitlines()
                if line.startswith("switchboard_reconciles_total{")
            )
            still = still + 1 if done == last and done > 0 else 0
            last = done
            await asyncio.sleep(0.3)


def main() -> None:
    """Prints the figures with their setup."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connectors", type=int, default=1000)
    parser.add_argument("--agents", type=int, default=300)
    arguments, _ = parser.parse_known_args()
    asyncio.run(_run(arguments.connectors, arguments.agents))


async def _run(connectors: int, agents: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="switchboard-bench-"))
    async with AsyncExitStack() as running:
        cluster = await running.enter_async_context(stack.cluster(directory))
        url, control = await running.enter_async_context(stack.simulator(directory))
        kubectl = await running.enter_async_context(stack.kubectl(cluster.kubeconfig))
        await kubectl.install()
        bench = Bench(cluster, kubectl, url, control, directory)
        await make_namespace(bench)
        base = await floor(bench, connectors)
        await clear(bench)
        await make_namespace(bench)
        result = await measure(bench, connectors, agents)
    kopf = 1000 * base.cpu / connectors
    print(f"{connectors} connectors, {agents} agents without pods, {os.cpu_count()} cores; logs in {directory}")
    print(f"kopf's floor: {kopf:.2f} CPU ms an object, {base.seconds:.1f} s, {base.memory:.0f} MiB")
    for name, value in result.items():
        print(f"{name:<60} {value:10.2f}")
    print(f"{'CPU a connector ÷ kopf’s':<60} {result['CPU ms a connector'] / kopf:10.2f}   (goal ≤ 4, stretch ≤ 2)")
    restart = result["CPU s of a restart with all settled"] / base.cpu
    print(f"{'CPU of a restart ÷ kopf’s create':<60} {restart:10.2f}   (goal ≤ 0.5, stretch ≤ 0.3)")
    growth = result["MiB at the peak"] / result["MiB at boot"]
    print(f"{'memory at the peak ÷ at boot':<60} {growth:10.2f}   (goal ≤ 1.6, stretch ≤ 1.4)")
    print(json.dumps({"kopf": base.__dict__, **result}))


if __name__ == "__main__":
    main()
