"""What a process takes, as `/proc` and its own counters tell it."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import aiohttp

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has taken, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_with_children(pid: int) -> float:
    """Seconds of CPU that a process and those it started have taken: PostgreSQL has one for each connection, and
    some of its own."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    taken = cpu(pid)
    for child in map(int, children):
        with suppress(OSError):  # it has ended
            taken += cpu(child)
    return taken


def memory(pid: int, what: str = "VmRSS") -> float:
    """MiB of a process: resident now, or at its peak (`VmHWM`)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise ValueError(what)


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
