"""Webhook pods as real processes, without an operator: an Agent, a connector, their files, and the way to them."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets as random_secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tests.integration.webhook import views
from tests.integration.webhook.roads import Road
from tests.integration.webhook.views import Manifest

from switchboard.api.runtime import SecretFiles, message_path
from switchboard.kube.client import KubeApi
from switchboard.kube.resources import (
    AGENT_REVISIONS,
    AGENTS,
    CONVERSATIONS,
    EVENTS,
    EXECUTIONS,
    MESSAGES,
    NAMESPACES,
    TWILIO_CONNECTORS,
)
from switchboard.log.postgres import PostgresLog
from switchboard.log.records import Page, Query
from switchboard.sandbox.processes import Process, free_port, tail
from switchboard.sandbox.twilio.control import Control
from switchboard.sandbox.twilio.control_models import InboxItem, TextResult

MODULE = "switchboard"
OVERRIDES = "#ct=2000&rt=3000&rc=5&rp=ct,rt,5xx"
"""What the operator registers, so that Twilio tries again."""


def verdicts(*texts: TextResult) -> set[int]:
    """How what was texted was received in the end. 503 says that it cannot be kept just now: Twilio tries again."""
    return {call.status for text in texts for call in text.calls if call.kind == "message"} - {503}


@dataclass
class Pod:
    """One webhook process."""

    name: str
    process: Process
    url: str
    health: str

    async def ready(self, timeout: float = 60) -> None:
        """Waits until it is ready. Raises AssertionError with the end of its log."""
        try:
            async with asyncio.timeout(timeout), aiohttp.ClientSession() as session:
                while True:
                    assert self.process.running, f"{self.name} ended:\n{tail(self.process.log, 30)}"
                    try:
                        async with session.get(self.health + "/readyz") as answer:
                            if answer.status == 200:
                                return
                    except aiohttp.ClientError:
                        pass
                    await asyncio.sleep(0.02)  # a port that is not open yet can only be asked again
        except TimeoutError:
            raise AssertionError(f"{self.name} was not ready:\n{tail(self.process.log, 30)}") from None

    async def metrics(self) -> dict[str, float]:
        """Its metrics, by name with labels."""
        async with aiohttp.ClientSession() as session, session.get(self.health + "/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line and line[0] != "#"}

    def kill(self) -> None:
        """SIGKILL."""
        self.process.signal(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self.process.signal(signal.SIGCONT)


SCRIPT: Manifest = {
    "script": {
        "rules": [
            {"match": r"(?i)echo (?P<what>.*)", "reply": "You said {what}"},
            {"match": "(?i)^hi", "reply": "Hello!"},
        ],
        "fallback": "Sorry, I did not get that.",
    }
}


@dataclass
class Rig:
    """An Agent in a namespace of its own, with one connector."""

    api: KubeApi
    kubeconfig: Path
    twilio: Control
    directory: Path
    namespace: str
    account: str
    token: str
    number: str
    road: Road
    template: Manifest
    access: Manifest
    log: Manifest
    settings: dict[str, str]
    module: str
    """What is run, as `python -m`."""
    dsn: str | None = None
    """The database, with backend Postgres."""
    reader: PostgresLog | None = None
    pods: list[Pod] = field(default_factory=list)
    _names: Iterator[int] = field(default_factory=itertools.count)

    @property
    def secrets(self) -> Path:
        return self.directory / "secrets"

    @property
    def url(self) -> str:
        return self.road.url + message_path(self.namespace, "sms")

    def write_secret(self, **values: str) -> None:
        """The connector's credentials, as the kubelet would mount them."""
        folder = self.secrets / "connectors" / "sms"
        folder.mkdir(parents=True, exist_ok=True)
        for key, value in values.items():
            (folder / key).write_text(value)

    async def start(
        self, revision: str = "support-v1", *, environment: Mapping[str, str] | None = None, serve: bool = True
    ) -> Pod:
        """A pod of a revision, ready and in the road."""
        name = f"{revision}-{next(self._names)}"
        config = self.directory / f"{revision}.json"
        config.write_text(
            json.dumps(
                {
                    "namespace": self.namespace,
                    "agent": "support",
                    "revision": revision,
                    "template": self.template,
                    "conversationLog": self.log,
                    "publicUrl": self.road.url,
                    "twilioBaseUrl": self.twilio.url,
                }
            )
        )
        port, health = free_port(), free_port()
        arguments = ["webhook", "serve"] if self.module == MODULE else ["serve"]
        process = Process(
            name,
            [sys.executable, "-m", self.module, *arguments],
            self.directory / f"{name}.log",
            {
                "KUBECONFIG": str(self.kubeconfig),
                "SWITCHBOARD_CONFIG": str(config),
                "SWITCHBOARD_SECRETS": str(self.secrets),
                "SWITCHBOARD_HOST": "127.0.0.1",
                "SWITCHBOARD_PORT": str(port),
                "SWITCHBOARD_HEALTH_PORT": str(health),
                "SWITCHBOARD_POD_NAME": name,
                "SWITCHBOARD_DRAIN_SECONDS": "0",
                "SWITCHBOARD_TERMINATION_LOG": str(self.directory / f"{name}.termination"),
                **self.settings,
                **(environment or {}),
            },
        )
        await process.start()
        pod = Pod(name, process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{health}")
        self.pods.append(pod)
        if serve:
            await pod.ready()
            self.road.pods.append(pod.url)
        return pod

    def leave(self, pod: Pod) -> None:
        """Takes a pod out of the road."""
        self.road.pods = [url for url in self.road.pods if url != pod.url]

    async def promote(self, revision: str) -> None:
        """Makes a revision the live one, as the operator does."""
        await self.api.merge_patch(
            AGENTS, "support", self.namespace, {"status": {"liveRevision": revision}}, subresource="status"
        )

    async def text(self, sender: str, body: str = "", **more: Any) -> TextResult:
        """A person's phone texts the connector's number."""
        return await self.twilio.text(sender, self.number, body, **more)

    async def phone(self, number: str, count: int, timeout: float = 40) -> list[InboxItem]:
        """What a person's phone shows, once that are `count` messages."""
        try:
            async with asyncio.timeout(timeout):
                while len(items := await self.twilio.inbox(number, wait=False)) < count:
                    await self.twilio.inbox(number, after=len(items))
        except TimeoutError:
            raise AssertionError(f"the phone shows {len(items)} of {count} messages\n{self.told()}") from None
        return items

    async def until(
        self,
        look: Callable[[], Awaitable[Any]],
        timeout: float = 40,
    ) -> Any:
        """What `look` gives, once it is true. Nothing tells us when: it is asked again and again."""
        found = None
        try:
            async with asyncio.timeout(timeout):
                while not (found := await look()):
                    await asyncio.sleep(0.03)
        except TimeoutError:
            raise AssertionError(f"it did not come to that within {timeout:g} s\n{self.told()}") from None
        return found

    def told(self) -> str:
        """The end of each pod's log."""
        return "\n".join(f"--- {pod.name}\n{tail(pod.process.log, 40)}" for pod in self.pods)

    async def messages(self, direction: str | None = None, state: str | None = None) -> list[Manifest]:
        """Kept messages in the order of their receipt, as custom resources have them."""
        if self.reader is None:
            items = (await self.api.list(MESSAGES, self.namespace)).items
        else:
            items = [views.message(one) for one in await self._all(self.reader.messages)]
        chosen = [
            item
            for item in items
            if direction in {None, item["spec"]["direction"]} and state in {None, item.get("status", {}).get("state")}
        ]
        return sorted(chosen, key=lambda item: (item["spec"].get("sequence", 0), item["metadata"]["name"]))

    @staticmethod
    async def _all(pages: Callable[..., Awaitable[Page[Any]]]) -> list[Any]:
        page = await pages(Query(), limit=200)
        found = [*page.items]
        while page.next is not None:
            page = await pages(Query(), cursor=page.next, limit=200)
            found += page.items
        return found

    async def settled(self, count: int, *states: str) -> list[Manifest]:
        """The inbound messages, once there are `count` and all are in one of `states` (default: Answered)."""
        wanted = set(states or ("Answered",))

        async def look() -> list[Manifest]:
            found = await self.messages("Inbound")
            done = len(found) >= count and all(one.get("status", {}).get("state") in wanted for one in found)
            return found if done else []

        return list(await self.until(look))

    async def executions(self) -> list[Manifest]:
        """Executions, as custom resources have them."""
        if self.reader is None:
            items = (await self.api.list(EXECUTIONS, self.namespace)).items
        else:
            items = [views.execution(one) for one in await self._all(self.reader.executions)]
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))

    async def conversations(self) -> list[Manifest]:
        return (await self.api.list(CONVERSATIONS, self.namespace)).items

    async def events(self) -> list[Manifest]:
        return (await self.api.list(EVENTS, self.namespace)).items


@asynccontextmanager
async def rig(
    api: KubeApi,
    kubeconfig: Path,
    twilio: Control,
    directory: Path,
    *,
    number: str,
    engine: Manifest | None = None,
    access: Manifest | None = None,
    log: Manifest | None = None,
    spec: Manifest | None = None,
    settings: Mapping[str, str] | None = None,
    module: str = MODULE,
    dsn: str | None = None,
    **template: Any,
) -> AsyncIterator[Rig]:
    """A namespace with an Agent and a connector, and an account at the simulator; pods are still to be started."""
    namespace = f"wh-{random_secrets.token_hex(5)}"
    content = {"engine": engine or SCRIPT, "connectors": [{"name": "sms"}], **template}
    road = Road()
    await road.open()
    account = await twilio.create_account()
    built = Rig(
        api,
        kubeconfig,
        twilio,
        directory,
        namespace,
        account.sid,
        account.auth_token,
        number,
        road,
        content,
        access or {},
        log or {},
        dict(settings or {}),
        module,
        dsn,
    )
    (built.secrets / SecretFiles.CONTACT_KEY).parent.mkdir(parents=True)
    (built.secrets / SecretFiles.CONTACT_KEY).write_text("the key of contacts' names")
    if dsn is not None:
        built.log = {"backend": "Postgres", "postgres": {"secretRef": {"name": "db", "key": "dsn"}}}
        (built.secrets / "log").mkdir(parents=True)
        (built.secrets / "log" / "dsn").write_text(dsn)
        built.reader = PostgresLog(dsn, namespace=namespace, agent="support", connections=2)
        await built.reader.start()
    await twilio.add_number(account.sid, number, sms_url=built.url + OVERRIDES)
    await twilio.add_sender(account.sid, number, callback_url=built.url + OVERRIDES)
    built.write_secret(accountSid=account.sid, authToken=account.auth_token)
    manager = "tests"
    await api.apply(NAMESPACES, {"metadata": {"name": namespace}}, manager=manager)
    metadata = {"name": "support", "namespace": namespace}
    await api.apply(AGENTS, {"metadata": metadata, "spec": {"template": content}}, manager=manager)
    for revision in ("support-v1", "support-v2"):
        await api.apply(
            AGENT_REVISIONS, {"metadata": {"name": revision, "namespace": namespace}, "spec": content}, manager=manager
        )
    connector = {
        "credentials": {"secretRef": {"name": "twilio"}},
        "fromNumber": number,
        "channels": ["SMS", "WhatsApp"],
        **({"access": access} if access else {}),
        **(spec or {}),
    }
    await api.apply(
        TWILIO_CONNECTORS, {"metadata": {"name": "sms", "namespace": namespace}, "spec": connector}, manager=manager
    )
    await built.promote("support-v1")
    try:
        yield built
    finally:
        for pod in built.pods:
            pod.go_on()
        await asyncio.gather(*(pod.process.stop() for pod in built.pods))
        await road.close()
        if built.reader is not None:
            await built.reader.close()
        await api.delete(NAMESPACES, namespace)


def environment(**settings: object) -> dict[str, str]:
    """Settings as the environment has them."""
    return {f"SWITCHBOARD_{name.upper()}": str(value) for name, value in settings.items()}
