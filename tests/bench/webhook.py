"""Acknowledged and durable messages a second, side by side in one run; the latency at a fixed load; the way to a reply.

`python -m tests.bench.webhook [--rounds N] [--seconds S]`. Each round runs every contestant, with ours before and after
it; medians are of the rounds' ratios. The pods are what is deployed: access, routes, dedupe, conversations, metrics and
logs are on. They only receive here, because their revision is not the live one; answering is measured apart.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hmac
import json
import logging
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import asyncpg
from tests.bench.gauges import cpu, cpu_with_children
from tests.bench.signature import PARAMETERS
from tests.integration.webhook.conftest import _install, process
from tests.integration.webhook.rig import Pod, Rig, rig
from tests.postgres import Server

from switchboard.kube.client import connect
from switchboard.log.postgres import migrate
from switchboard.sandbox.processes import free_port
from switchboard.sandbox.twilio.control import Control

CONNECTIONS = 64
CONTACTS = 5000
TUTORIAL = "CREATE TABLE tutorial (sid text PRIMARY KEY, sender text, body text, received timestamptz DEFAULT now())"
TARGETS = {
    "one pod / bare": ">= 0.65",
    "one pod / Flask pooled": ">= 7",
    "one pod / Flask, a connection each": ">= 25",
    "two pods / pgbench": ">= 0.45",
    "p99 at 300 msg/s / one commit": "<= 15",
    "one pod, a flush takes 2 ms more / as it is": ">= 0.9",
}
PGBENCH = "INSERT INTO bench (sid, sender, body) VALUES (gen_random_uuid()::text, '+14155550100', 'Hello, what are your opening hours?');\n"  # noqa: E501


class Requests:
    """Signed requests, each with a message id of its own, written to files for the load generator."""

    def __init__(self, url: str, account: str, token: str, number: str, folder: Path) -> None:
        self._url, self._account, self._token, self._number = url, account, token, number
        self._folder = folder
        self._made = 0

    def file(self, count: int) -> Path:
        """A file of `count` requests that were never sent before."""
        path = self._folder / f"requests-{self._made}"
        with path.open("wb") as file:
            for _ in range(count):
                request = self._one()
                file.write(len(request).to_bytes(4, "big") + request)
        return path

    def _one(self) -> bytes:
        self._made += 1
        sid = f"SM{self._made:032x}"
        given = {
            **PARAMETERS,
            **dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), sid),
            "AccountSid": self._account,
            "From": f"whatsapp:+1415{self._made % CONTACTS:07d}",
            "To": f"whatsapp:{self._number}",
        }
        text = self._url + "".join(key + given[key] for key in sorted(given))
        signature = base64.b64encode(hmac.digest(self._token.encode(), text.encode(), "sha1")).decode()
        body = urlencode(given).encode()
        head = (
            f"POST {urlsplit(self._url).path} HTTP/1.1\r\nHost: {urlsplit(self._url).netloc}\r\n"
            "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nAccept: */*\r\n"
            f"User-Agent: TwilioProxy/1.1\r\nX-Twilio-Signature: {signature}\r\n"
            f"I-Twilio-Idempotency-Token: {sid[2:]}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@contextmanager
def server(*command: str, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """A process that ends with the block; its id."""
    with subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        try:
            yield child.pid
        finally:
            child.terminate()


async def listening(port: int) -> None:
    """Returns when the port is open."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def load(port: int, file: Path, *, seconds: float, rate: float | None = None) -> dict[str, float]:
    """What the load generator says of one server. Raises AssertionError if anything but 200 was answered."""
    command = [sys.executable, "-m", "tests.bench.load", "--port", str(port), "--file", str(file)]
    command += ["--connections", str(CONNECTIONS), "--seconds", str(seconds)]
    if rate is not None:
        command += ["--rate", str(rate)]
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    said = json.loads(out)
    assert set(said["statuses"]) == {"200"}, said["statuses"]
    return {name: said[name] for name in ("answered", "per_second", "p50", "p99", "cpu")}


class Bench:
    """All contestants."""

    def __init__(self, built: Rig, database: Server, dsn: str, folder: Path, seconds: float) -> None:
        self.rig, self.database, self.dsn, self.folder, self.seconds = built, database, dsn, folder, seconds
        self.requests = Requests(built.url, built.account, built.token, built.number, folder)
        self.pods: list[Pod] = []
        self.cpu: dict[str, float] = {}
        """Seconds of a server's CPU for each message of the last run."""

    async def pod(self, number: int = 1) -> float:
        """Messages a second of `number` pods."""
        ports = [urlsplit(pod.url).port or 0 for pod in self.pods[:number]]
        files = [self.requests.file(int(12_000 * self.seconds / number)) for _ in ports]
        before = cpu(self.pods[0].process.pid)
        database = cpu_with_children(self.database.pid)
        done = await asyncio.gather(*(load(p, f, seconds=self.seconds) for p, f in zip(ports, files, strict=True)))
        answered = sum(one["answered"] for one in done)
        self.cpu["pod"] = (cpu(self.pods[0].process.pid) - before) / done[0]["answered"]
        self.cpu["PostgreSQL"] = (cpu_with_children(self.database.pid) - database) / answered
        self.cpu["load"] = sum(one["cpu"] for one in done) / answered
        return sum(one["per_second"] for one in done)

    async def slow_disk(self) -> float:
        """What is kept of one pod's messages a second when each flush takes 2 ms more."""
        before = await self.pod()
        await self._flushes(2000)
        try:
            slowly = await self.pod()
        finally:
            await self._flushes(0)
        return 2 * slowly / (before + await self.pod())

    async def _flushes(self, microseconds: int) -> None:
        """https://www.postgresql.org/docs/current/runtime-config-wal.html: commit_delay is waited out before a flush,
        where so many other transactions are open."""
        connection = await asyncpg.connect(self.dsn)
        try:
            for setting in (f"commit_delay = {microseconds}", f"commit_siblings = {0 if microseconds else 5}"):
                await connection.execute(f"ALTER SYSTEM SET {setting}")
            await connection.execute("SELECT pg_reload_conf()")
        finally:
            await connection.close()

    async def bare(self) -> float:
        port = free_port()
        with server(sys.executable, "-m", "tests.bench.bare", str(port)) as pid:
            await listening(port)
            file = self.requests.file(int(16_000 * self.seconds))
            before = cpu(pid)
            done = await load(port, file, seconds=self.seconds)
            self.cpu["bare"] = (cpu(pid) - before) / done["answered"]
            self.cpu["load for bare"] = done["cpu"] / done["answered"]
            return done["per_second"]

    async def flask(self, *, pooled: bool) -> float:
        port = free_port()
        environment = {
            "TOKEN": self.rig.token,
            "URL": self.rig.url,
            "DSN": self.dsn,
            "POOLED": "1" if pooled else "0",
        }
        bind = ["-b", f"127.0.0.1:{port}", "-w", "2", "--keep-alive", "75", "-k", "gthread", "--threads", "4"]
        with server(sys.executable, "-m", "gunicorn", *bind, "tests.bench.flask_app:app", environment=environment):
            await listening(port)
            file = self.requests.file(int(3_000 * self.seconds))
            return (await load(port, file, seconds=self.seconds))["per_second"]

    async def pgbench(self, clients: int) -> tuple[float, float]:
        """Transactions a second and the 99th percentile of one, in seconds."""
        script = self.folder / "insert.sql"
        script.write_text(PGBENCH)
        prefix = self.folder / f"pgbench-{time.monotonic_ns()}"
        command = [str(self.database.tool("pgbench")), "-h", str(self.database.directory), "-U", "switchboard", "-n"]
        command += ["-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(max(1, round(self.seconds)))]
        command += ["-f", str(script), "-l", "--log-prefix", str(prefix), "bench"]
        child = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        out, _ = await child.communicate()
        found = re.search(rb"tps = ([\d.]+) \(without", out) or re.search(rb"tps = ([\d.]+)", out)
        assert found is not None, out
        times = sorted(
            int(line.split()[2]) / 1e6
            for file in self.folder.glob(prefix.name + ".*")
            for line in file.read_text().splitlines()
        )
        return float(found[1]), times[int(len(times) * 0.99)]

    async def inserts(self) -> float:
        """Rows that 64 clients insert a second."""
        return (await self.pgbench(CONNECTIONS))[0]

    async def latency(self) -> tuple[float, float]:
        """At 300 messages a second: the 99th percentile, and that of one client's commit."""
        port = urlsplit(self.pods[0].url).port or 0
        paced = await load(port, self.requests.file(int(300 * self.seconds) + 10), seconds=self.seconds, rate=300)
        return paced["p99"], (await self.pgbench(1))[1]


async def replies(built: Rig, count: int) -> list[float]:
    """Seconds from a phone's text to the answer on its screen: the simulator's own work is in it."""
    took = []
    for number in range(count):
        phone = f"+1415999{number:04d}"
        began = time.perf_counter()
        await built.text(phone, "hi")
        await built.twilio.next_message(phone)
        took.append(time.perf_counter() - began)
    return took


async def measure(rounds: int, seconds: float) -> int:
    """Prints the figures."""
    logging.disable(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="sb-bench-"))
    with ExitStack() as outer:
        database = outer.enter_context(Server())
        for name in ("bench", "switchboard"):
            where = ["-h", str(database.directory), "-U", "switchboard"]
            subprocess.run([database.tool("createdb"), *where, name], check=True, capture_output=True)
        table = TUTORIAL.replace("tutorial", "bench")
        psql = [database.tool("psql"), *where, "-q", "-d", "bench", "-c"]
        subprocess.run([*psql, f"{table}; {TUTORIAL}"], check=True, capture_output=True)
        await migrate(database.dsn("switchboard"))
        kubeconfig = folder / "kubeconfig"
        outer.enter_context(process("kubesandbox", "--port", "0", "--kubeconfig", str(kubeconfig)))
        line = outer.enter_context(process("switchboard.sandbox.twilio", "--port", "0"))
        found = re.search(r"http://[\w.:]+", line)
        assert found is not None
        await _install(kubeconfig)
        async with AsyncExitStack() as exits:
            api = await exits.enter_async_context(await connect(kubeconfig))
            control = await exits.enter_async_context(Control(found[0]))
            built = await exits.enter_async_context(
                rig(api, kubeconfig, control, folder, number="+14155550100", dsn=database.dsn("switchboard"))
            )
            bench = Bench(built, database, database.dsn("bench"), folder, seconds)
            bench.pods = [await built.start(), await built.start()]
            answers = await replies(built, 20)
            await built.promote("support-v2")
            await _superseded(bench.pods)
            return await _rounds(bench, rounds, answers)


async def _superseded(pods: list[Pod]) -> None:
    for pod in pods:
        while (await pod.metrics()).get("switchboard_revision_live") != 0:
            await asyncio.sleep(0.05)


async def _around(first: Callable[[], Awaitable[float]], second: Callable[[], Awaitable[float]]) -> tuple[float, float]:
    """Both rates, the first one's measured before and after the second's: a shared machine is now fast and now slow."""
    before, between = await first(), await second()
    return (before + await first()) / 2, between


async def _rounds(bench: Bench, rounds: int, answers: list[float]) -> int:
    rows: list[dict[str, float]] = []
    for number in range(rounds + 1):
        one, bare = await _around(bench.pod, bench.bare)
        took = dict(bench.cpu)
        by_pooled, pooled = await _around(bench.pod, partial(bench.flask, pooled=True))
        by_single, single = await _around(bench.pod, partial(bench.flask, pooled=False))
        two, inserts = await _around(partial(bench.pod, 2), bench.inserts)
        p99, commit = await bench.latency()
        kept = await bench.slow_disk()
        if number == 0:
            continue  # warms caches
        rows.append(
            {
                "bare aiohttp handler, msg/s": bare,
                "one pod, msg/s": one,
                "two pods, msg/s": two,
                "Flask, pooled, msg/s": pooled,
                "Flask, a connection each, msg/s": single,
                "pgbench, 64 clients, tps": inserts,
                "p99 at 300 msg/s, ms": p99 * 1000,
                "pgbench, one client, p99, ms": commit * 1000,
                "bare, CPU of a message, us": took["bare"] * 1e6,
                "the load for bare, CPU of a message, us": took["load for bare"] * 1e6,
                "one pod, CPU of a message, us": took["pod"] * 1e6,
                "PostgreSQL for it, CPU of a message, us": took["PostgreSQL"] * 1e6,
                "the load for it, CPU of a message, us": took["load"] * 1e6,
                "CPU of a message, bare / one pod": took["bare"] / took["pod"],
                "one pod / bare": one / bare,
                "one pod / Flask pooled": by_pooled / pooled,
                "one pod / Flask, a connection each": by_single / single,
                "two pods / pgbench": two / inserts,
                "p99 at 300 msg/s / one commit": p99 / commit,
                "one pod, a flush takes 2 ms more / as it is": kept,
            }
        )
        told = " | ".join(f"{name} {rows[-1][name]:.2f}" for name in TARGETS)
        print(f"round {number}: {told}", file=sys.stderr, flush=True)
    print(f"webhook: medians of {rounds} rounds, {bench.seconds:g} s each, {CONNECTIONS} connections, fsync on")
    for name in rows[0]:
        print(f"  {name:<44} {statistics.median(row[name] for row in rows):>10.2f}   {TARGETS.get(name, '')}")
    print(f"  {'text to answer, idle, median, ms':<44} {statistics.median(answers) * 1000:>10.2f}   < 50")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Runs the bench; 0 when it is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args(argv)
    return asyncio.run(measure(given.rounds, given.seconds))


if __name__ == "__main__":
    sys.exit(main())
