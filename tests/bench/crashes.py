"""Crashes: webhook processes and PostgreSQL killed at random moments, and what became of every message.

`python -m tests.bench.crashes [--crashes N] [--backend postgres|resources] [--synchronous-commit off]`. Clients post
signed webhooks of ids that they know, in order for each contact, to two processes of the webhook, again until they are
answered 200. Crash after crash one process gets SIGKILL, or, with a database every tenth time, all of PostgreSQL's at
once. After each, all that was acknowledged is looked for in the log. After every `EPOCH` crashes all is let come to
rest in peace, and what the Twilio simulator took is compared with what was sent.

The exit code is 1 if a message was acknowledged and lost, answered twice or out of order, or stays without an answer
and a recorded reason. With `--synchronous-commit off` the database acknowledges what it has not written, and the run
must fail.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hmac
import itertools
import logging
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp
from tests.faults.webhook.promises import SENT, SETTLED, Answer, attempt_of, late, reason, told_in_doubt
from tests.forking import Zygote, processes
from tests.integration.webhook.conftest import Databases, _install, process
from tests.integration.webhook.rig import Pod, Rig, environment, rig
from tests.postgres import Server

from switchboard.kube.client import connect
from switchboard.kube.errors import NotFound
from switchboard.kube.resources import MESSAGES
from switchboard.log.errors import LogUnavailable
from switchboard.log.names import inbound_name
from switchboard.sandbox.twilio.control import Control

MODULE = "tests.faults.webhook.crashing"
EPOCH = 50
"""Crashes in one namespace: its messages are few enough to be compared at once."""
CONTACTS = 24
REST = {"postgres": 0.4, "resources": 3.0}
"""Seconds that a contact takes for its next message, at most: what the log takes without ever more waiting."""
CALM = 0.25
"""Seconds between a process being back and the next crash, at most."""
DATABASE = 10
"""Every so many crashes the database is what crashes."""
SETTLE = 90
"""Seconds in which all comes to rest, once nothing crashes any more."""
FORGETFUL = {"synchronous_commit": "off", "wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
_WORD = re.compile(r"\bm-\d+\b")
_ids = itertools.count(1)

SETTINGS = {
    **environment(
        lease_seconds=1.5,
        send_seconds=1,
        settling_seconds=60,
        contact_burst=100_000,
        replies_per_hour=100_000,
        shutdown_seconds=1,
    ),
    "UNCONFIRMED": "2",
    "MARGIN": "0.4",
}


@dataclass
class Tally:
    """What became of all messages."""

    crashes: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    refused: int = 0
    """Requests that were not answered 200, and were made again."""
    lost: int = 0
    recorded_twice: int = 0
    answered: int = 0
    answered_twice: int = 0
    taken_late: int = 0
    """Told as in doubt, and taken by Twilio all the same."""
    out_of_order: int = 0
    """Of those that were not told as in doubt."""
    unanswered: Counter[str] = field(default_factory=Counter)
    """By the recorded reason's first word."""
    untold: int = 0
    """Neither an answer nor a reason."""
    restarts: list[float] = field(default_factory=list)
    """Seconds from a webhook's death to another's readiness."""

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        broken = self.lost or self.recorded_twice or self.answered_twice or self.out_of_order or self.untold
        return self.acknowledged > 0 and not broken


@dataclass(frozen=True)
class World:
    """What runs all the time."""

    kubeconfig: Path
    twilio: str
    databases: Databases | None
    folder: Path


class Phones:
    """People who text: each its next message once the one before was acknowledged."""

    def __init__(self, built: Rig, chance: random.Random, tally: Tally) -> None:
        self._rig = built
        self._chance = chance
        self._tally = tally
        self._rest = REST["postgres" if built.reader is not None else "resources"]
        self.acknowledged: dict[str, str] = {}
        """Words by message id."""
        self.sent: dict[str, list[str]] = {}
        """Words of each contact, in order."""
        self.enough = False

    async def run(self, contact: str, session: aiohttp.ClientSession) -> None:
        """Texts until it is enough; a message that was begun is seen through."""
        words = self.sent.setdefault(contact, [])
        while not self.enough:
            number = next(_ids)
            word, sid = f"m-{number}", f"SM{number:032x}"
            words.append(word)
            while not await self._post(contact, sid, f"echo {word}", session):
                self._tally.refused += 1
                await asyncio.sleep(self._chance.uniform(0.01, 0.1))
            self.acknowledged[sid] = word
            await asyncio.sleep(self._chance.uniform(0, self._rest))

    async def _post(self, contact: str, sid: str, body: str, session: aiohttp.ClientSession) -> bool:
        given = {"AccountSid": self._rig.account, "MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid}
        given |= {"From": contact, "To": self._rig.number, "Body": body, "NumMedia": "0", "SmsStatus": "received"}
        signed = self._rig.url + "".join(key + given[key] for key in sorted(given))
        signature = base64.b64encode(hmac.digest(self._rig.token.encode(), signed.encode(), "sha1")).decode()
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        pods = self._rig.road.pods
        if not pods:
            return False
        pod = self._chance.choice(pods)
        try:
            async with session.post(
                pod + urlsplit(self._rig.url).path, data=urlencode(given), headers=headers
            ) as answer:
                if answer.status not in {200, 503}:
                    raise AssertionError(f"{answer.status}: {await answer.text()}\n{self._rig.told()}")
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False


class Epoch:
    """Some crashes in a namespace of their own."""

    def __init__(self, built: Rig, world: World, tally: Tally, chance: random.Random, database: int) -> None:
        self._rig = built
        self._world = world
        self._database = database
        self._tally = tally
        self._chance = chance
        self._phones = Phones(built, chance, tally)
        self._proved: set[str] = set()
        self._lost: set[str] = set()

    async def run(self, crashes: int) -> None:
        """Crashes, then peace, then the reckoning; where something was lost, nothing more: a log that forgot which
        Agent it is of need not come to rest."""
        pods = list(await asyncio.gather(self._rig.start(), self._rig.start()))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
            contacts = [f"+1415{self._chance.randrange(10_000):04d}{index:03d}" for index in range(CONTACTS)]
            texting = [asyncio.create_task(self._phones.run(contact, session)) for contact in contacts]
            try:
                for number in range(1, crashes + 1):
                    await asyncio.sleep(self._chance.uniform(0.02, CALM))
                    if self._world.databases is not None and number % self._database == 0:
                        await self._crash_database(self._world.databases.server)
                    else:
                        pods.append(await self._crash(pods.pop(self._chance.randrange(len(pods)))))
                    if not await self._proved_kept():
                        self._tally.acknowledged += len(self._phones.acknowledged)
                        self._tally.lost += len(self._lost)
                        return
                    for task in texting:
                        if task.done():
                            task.result()
                self._phones.enough = True
                await asyncio.gather(*texting)
            finally:
                for task in texting:
                    task.cancel()
                await asyncio.gather(*texting, return_exceptions=True)
        await self._proved_kept()
        await self._rest()
        await self._reckon()

    async def _crash(self, victim: Pod) -> Pod:
        began = time.perf_counter()
        victim.kill()
        self._rig.leave(victim)
        self._tally.crashes["webhook"] += 1
        await victim.process.ended()
        self._rig.pods.remove(victim)
        started = await self._rig.start()
        self._tally.restarts.append(time.perf_counter() - began)
        return started

    async def _crash_database(self, server: Server) -> None:
        self._tally.crashes["PostgreSQL"] += 1
        await asyncio.to_thread(server.crash)
        await asyncio.to_thread(server.start)

    async def _proved_kept(self) -> bool:
        """Whether all that was acknowledged since the last time is in the log."""
        fresh = [sid for sid in list(self._phones.acknowledged) if sid not in self._proved]
        known = await self._known(fresh)
        self._lost |= set(fresh) - known
        self._proved |= set(fresh)
        return not self._lost

    async def _known(self, sids: list[str]) -> set[str]:
        if self._rig.reader is not None:
            reader = self._rig.reader
            return await patiently(lambda: reader.known("twilio", self._rig.account, sids))
        there = await asyncio.gather(*map(self._there, sids))
        return {sid for sid, found in zip(sids, there, strict=True) if found}

    async def _there(self, sid: str) -> bool:
        try:
            await self._rig.api.get(MESSAGES, inbound_name("twilio", self._rig.account, sid), self._rig.namespace)
        except NotFound:
            return False
        return True

    async def _rest(self) -> None:
        """Waits until nothing is in work."""
        reader = self._rig.reader

        async def messages() -> bool:
            kept = await self._rig.messages()
            return all(
                one.get("status", {}).get("state") in (SETTLED if one["spec"]["direction"] == "Inbound" else SENT)
                for one in kept
            )

        async def executions() -> bool:
            return all(one.get("status", {}).get("endTime") for one in await self._rig.executions())

        try:
            async with asyncio.timeout(SETTLE):
                while not (await patiently(messages) and await patiently(executions)):
                    await asyncio.sleep(0.3 if reader is not None else 0.6)
        except TimeoutError:
            states = Counter(
                f"{one['spec']['direction']} {one.get('status', {}).get('state')}" for one in await self._rig.messages()
            )
            raise AssertionError(f"it did not come to rest: {states}\n{self._rig.told()}") from None

    async def _reckon(self) -> None:
        inbound, outbound = await self._rig.messages("Inbound"), await self._rig.messages("Outbound")
        executions = {one["metadata"]["name"]: one for one in await self._rig.executions()}
        kept = Counter(one["spec"]["providerMessageId"] for one in inbound)
        tally, acknowledged = self._tally, self._phones.acknowledged
        tally.acknowledged += len(acknowledged)
        tally.lost += len(self._lost | (acknowledged.keys() - kept.keys()))
        tally.recorded_twice += sum(count - 1 for count in kept.values())
        taken = [one for one in await self._rig.twilio.messages(self._rig.account) if one.direction != "inbound"]
        doubted = told_in_doubt(self._rig.directory)
        for contact, words in self._phones.sent.items():
            answers = [
                Answer(word, attempt_of(one.status_callback))
                for one in taken
                if one.to == contact
                for word in _WORD.findall(one.body)
            ]
            times = Counter(answer.word for answer in answers)
            tally.answered += len(times)
            tally.answered_twice += sum(count - 1 for count in times.values())
            tally.taken_late += sum(answer.attempt in doubted for answer in answers)
            tally.out_of_order += late(answers, words, doubted)
            for message in (one for one in inbound if one["spec"]["from"] == contact):
                [word] = _WORD.findall(message["spec"]["body"])
                if not times[word]:
                    try:
                        tally.unanswered[reason(message, executions, outbound).partition(":")[0]] += 1
                    except AssertionError:
                        tally.untold += 1


async def patiently(ask: Callable[[], Awaitable[bool]] | Callable[[], Awaitable[set[str]]]) -> bool | set[str]:
    """What `ask` gives, asked again while the database comes back."""
    while True:
        try:
            return await ask()
        except LogUnavailable:
            await asyncio.sleep(0.05)


async def run(world: World, crashes: int, seed: int, *, database: int = DATABASE, progress: bool = False) -> Tally:
    """Crashes, in epochs of `EPOCH`; what became of the messages. `database`: every so many, it is the database."""
    tally, chance = Tally(), random.Random(seed)
    async with await connect(world.kubeconfig) as api, Control(world.twilio) as control:
        for number, begun in enumerate(range(0, crashes, EPOCH)):
            folder = world.folder / f"epoch-{number}"
            folder.mkdir()
            dsn = await asyncio.to_thread(world.databases.dsn) if world.databases else None
            number_of_agent = f"+1628{next(_ids) % 10_000_000:07d}"
            more = {"settings": SETTINGS, "module": MODULE, "turn": {"maxAttempts": 10}}
            async with AsyncExitStack() as exits:
                built = await exits.enter_async_context(
                    rig(api, world.kubeconfig, control, folder, number=number_of_agent, dsn=dsn, **more)
                )
                await Epoch(built, world, tally, chance, database).run(min(EPOCH, crashes - begun))
            if tally.lost:
                break
            if progress:
                done = sum(tally.crashes.values())
                print(f"{done} crashes, {tally.acknowledged} acknowledged, {tally.lost} lost", file=sys.stderr)
    return tally


def told(tally: Tally, backend: str, seconds: float) -> str:
    """The counts, for people."""
    kinds = ", ".join(f"{count} of {what}" for what, count in sorted(tally.crashes.items()))
    reasons = ", ".join(f"{count} {why}" for why, count in sorted(tally.unanswered.items())) or "none"
    rows = {
        "crashes": f"{sum(tally.crashes.values())} ({kinds})",
        "acknowledged": tally.acknowledged,
        "requests refused and made again": tally.refused,
        "acknowledged and lost": tally.lost,
        "recorded twice": tally.recorded_twice,
        "answered": tally.answered,
        "answered twice": tally.answered_twice,
        "told as in doubt, and taken by Twilio": tally.taken_late,
        "answered out of order": tally.out_of_order,
        "unanswered, with the reason on record": reasons,
        "unanswered without a reason": tally.untold,
        "restart of a webhook, median, ms": round(statistics.median(tally.restarts or [0]) * 1000),
    }
    lines = [f"crashes, {backend}: two processes, {CONTACTS} contacts, {seconds:.0f} s"]
    return "\n".join([*lines, *(f"  {name:<40} {value}" for name, value in rows.items())])


def measure(backend: str, crashes: int, *, settings: dict[str, str] | None = None, seed: int = 1) -> Tally:
    """Starts all that is needed, and prints the counts."""
    logging.disable(logging.WARNING)
    began = time.perf_counter()
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="sb-crashes-")))
        databases = Databases(exits.enter_context(Server(settings))) if backend == "postgres" else None
        kubeconfig = folder / "kubeconfig"
        exits.enter_context(process("kubesandbox", "--port", "0", "--kubeconfig", str(kubeconfig)))
        line = exits.enter_context(process("switchboard.sandbox.twilio", "--port", "0"))
        found = re.search(r"http://[\w.:]+", line)
        assert found is not None, line
        zygote = exits.enter_context(closing(Zygote()))
        processes(lambda: zygote.address)

        async def work() -> Tally:
            await _install(kubeconfig)
            return await run(World(kubeconfig, found[0], databases, folder), crashes, seed, progress=True)

        tally = asyncio.run(work())
    print(told(tally, backend, time.perf_counter() - began))
    return tally


def main(argv: list[str] | None = None) -> int:
    """Runs the bench; 0 if every promise was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crashes", type=int, default=100, help="how many (default: 100; the promise is for 1000)")
    parser.add_argument("--backend", choices=["postgres", "resources"], default="postgres")
    parser.add_argument("--synchronous-commit", choices=["on", "off"], default="on")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    settings = FORGETFUL if given.synchronous_commit == "off" else None
    return 0 if measure(given.backend, given.crashes, settings=settings, seed=given.seed).kept else 1


if __name__ == "__main__":
    sys.exit(main())
