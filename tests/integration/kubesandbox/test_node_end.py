"""Nothing that a node started outlives it, however it ends."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.kubesandbox.world import TAINT, World, phase

from kubesandbox.client import Object
from kubesandbox.client.resources import NODES, PODS
from kubesandbox.kubeconfig import write

OPERATOR = Path(__file__).parents[3] / "operator"


@asynccontextmanager
async def node_process(
    world: World, kubeconfig: Path | None, tmp_path: Path, temporary: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`python -m kubesandbox node` on the same control plane, ready."""
    if kubeconfig is None:
        kubeconfig = tmp_path / "kubeconfig"
        write(kubeconfig, world.client.config.server)
    name = f"node-{secrets.token_hex(4)}"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "kubesandbox", "node", "--kubeconfig", str(kubeconfig), "--name", name),
        *("--register-with-taints", f"{TAINT['key']}:{TAINT['effect']}"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": os.environ.get("PYTHONPATH") or str(OPERATOR)},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
        assert line.startswith(f"node {name} is ready, router at http://127.0.0.1:")
        yield process, name
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(pids: list[int]) -> None:
    """Wait for processes that are not our children to end."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(15):
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            over = asyncio.Event()
            loop.add_reader(descriptor, over.set)
            try:
                await over.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_no_process_of_a_pod_outlives_its_node(
    world: World, tmp_path: Path, number: signal.Signals, kubeconfig: Path | None
) -> None:
    mark = f"mark-{secrets.token_hex(8)}"
    script = "sleep 1000 & setsid sleep 1000 & wait"
    body: Object = {
        "name": "main",
        "image": "none",
        "command": ["sh", "-c", script],
        "env": [{"name": "MARK", "value": mark}],
    }
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    async with node_process(world, kubeconfig, tmp_path, temporary) as (process, name):
        assert len(list(temporary.iterdir())) == 1
        spec = {"nodeName": name, "containers": [body], "automountServiceAccountToken": False}
        await world.create(PODS, "family", spec=spec)
        await world.until(PODS, "family", lambda p: phase(p) == "Running")
        pids = await family(mark, 3)
        process.send_signal(number)
        async with asyncio.timeout(20):
            code = await process.wait()
        assert code == (-number if number is signal.SIGKILL else 0)
        await ended(pids)
    assert await asyncio.to_thread(living, mark) == []
    async with asyncio.timeout(15):
        while any(temporary.iterdir()):  # the warden removes what held Secrets, a moment after the node's end
            await asyncio.sleep(0)
    if number is not signal.SIGKILL:
        nodes, _ = await world.client.list(NODES)
        assert name not in {node["metadata"]["name"] for node in nodes}


async def family(mark: str, count: int) -> list[int]:
    """The processes with `mark` in their environment, once there are `count`."""
    async with asyncio.timeout(20):
        while len(found := await asyncio.to_thread(living, mark)) < count:
            await asyncio.sleep(0)
    return found


def living(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if mark.encode() in environment:
                found.append(int(entry.name))
    return found
