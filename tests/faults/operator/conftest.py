"""Tenants behind proxies: whatever one request meets, the same is there in the end."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio
from tests.kinds import OURS_AND_MADE
from tests.namespaces import Namespaces

from kubesandbox.client import Config
from switchboard.kube import resources
from switchboard.kube.errors import NotFound
from switchboard.kube.resources import Object
from switchboard.sandbox import stack
from switchboard.sandbox.stack import reason
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec

from .proxy import Proxy, Spoil, before, proxy, write_kubeconfig

SESSION = {"scope": "session", "loop_scope": "session"}
OLD = "https://old.example.com/sms"
PUBLIC = "https://agents.example.com"
PATIENCE = 40
RUNS = 72


@dataclass
class Site:
    """Proxies before the cluster and the simulator, and how an operator behind them is started."""

    kubectl: Any
    twilio: Any
    cluster_proxy: Proxy
    twilio_proxy: Proxy
    namespaces: Namespaces
    environment: dict[str, str]
    directory: Path

    @asynccontextmanager
    async def operator(self, name: str = "operator", **more: str) -> AsyncIterator[Any]:
        """An operator behind the proxies, as a process."""
        environment = {**self.environment, **more}
        async with stack.operator(self.directory, environment, name=name) as process:
            yield process

    async def tenant(self) -> Tenant:
        """A namespace and an account for one run."""
        account, token, number = f"AC{secrets.token_hex(16)}", secrets.token_hex(16), self.twilio.number()
        await self.twilio.control.create_account(
            AccountSpec(sid=account, auth_token=token, numbers=[NumberSpec(phone_number=number, sms_url=OLD)])
        )
        return Tenant(self, await self.namespaces.take(), account, token, number)


@dataclass
class Tenant:
    """One run: apply, connected, deleted."""

    site: Site
    namespace: str
    account: str
    token: str
    number: str

    def _manifest(self, kind: str, name: str, **content: Any) -> Object:
        version = "v1" if kind == "Secret" else "switchboard.dev/v1alpha1"
        return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": self.namespace}, **content}

    async def apply(self, revision: str = "v1") -> None:
        """What people apply."""
        credentials = self._manifest(
            "Secret", "twilio", stringData={"accountSid": self.account, "authToken": self.token}
        )
        credentials["metadata"]["labels"] = {"switchboard.dev/use": "true"}
        spec = {"credentials": {"secretRef": {"name": "twilio"}}, "fromNumber": self.number}
        template = {
            "name": revision,
            "engine": {"script": {"fallback": "Hello."}},
            "connectors": [{"name": "sms"}],
            "webhook": {"replicas": 0},
        }
        await self.site.kubectl.apply(
            [
                credentials,
                self._manifest("TwilioConnector", "sms", spec=spec),
                self._manifest("Agent", "support", spec={"template": template}),
            ]
        )

    async def connected(self) -> None:
        """Waits until connector and Agent say that all is well."""
        until = self.site.kubectl.until
        await until(
            resources.TWILIO_CONNECTORS, "sms", lambda it: reason(it) == "Connected", self.namespace, timeout=PATIENCE
        )
        await until(resources.AGENTS, "support", lambda it: reason(it) == "Serving", self.namespace, timeout=PATIENCE)

    async def end(self) -> None:
        """Deletes the connector, if that was not done yet, and waits until it is gone."""
        with contextlib.suppress(NotFound):
            await self.site.kubectl.api.delete(resources.TWILIO_CONNECTORS, "sms", self.namespace)
        await self.site.kubectl.until(
            resources.TWILIO_CONNECTORS, "sms", lambda _: False, self.namespace, timeout=PATIENCE, gone=True
        )

    async def webhook(self) -> str:
        """What stands at Twilio."""
        return str((await self.site.twilio.control.number(self.account, self.number)).sms_url)

    async def state(self) -> dict[str, Any]:
        """All that the operator made, without what differs from run to run."""
        found: dict[str, Any] = {"webhook": (await self.webhook()).replace(self.namespace, "NS")}
        for kind in OURS_AND_MADE:
            for obj in (await self.site.kubectl.api.list(kind, self.namespace)).items:
                name = obj["metadata"]["name"]
                if name in ("default", "kube-root-ca.crt"):
                    continue
                conditions = obj.get("status", {}).get("conditions", []) if kind.group == "switchboard.dev" else []
                found[f"{kind.kind}/{name}"] = {
                    "finalizers": obj["metadata"].get("finalizers"),
                    "owners": [owner["name"] for owner in obj["metadata"].get("ownerReferences", [])],
                    "conditions": sorted(f"{it['type']}={it['status']} {it['reason']}" for it in conditions),
                    "selector": obj.get("spec", {}).get("selector"),
                }
        kept = await self.site.kubectl.api.get(resources.SECRETS, "sms-previous-webhook", self.namespace)
        record = json.loads(base64.b64decode(kept["data"]["previous.json"]))
        found["previous"] = [place["url"] for place in record["places"]]
        return found


def watch(site: Site, tenant: Tenant) -> tuple[Spoil, Spoil]:
    """Counts a tenant's requests on both sides."""
    cluster, twilio = Spoil(f"namespaces/{tenant.namespace}/"), Spoil(f"Accounts/{tenant.account}")
    site.cluster_proxy.spoils.append(cluster)
    site.twilio_proxy.spoils.append(twilio)
    return cluster, twilio


@pytest_asyncio.fixture(**SESSION)
async def site(
    cluster: Any, kubectl: Any, twilio: Any, kubeconfig: Path | None, tmp_path_factory: Any
) -> AsyncIterator[Site]:
    """The proxies, and enough namespaces."""
    directory = tmp_path_factory.mktemp("faults")
    namespaces = Namespaces(kubectl, "f", 120)
    config = Config.load(Path(cluster.kubeconfig))
    async with AsyncExitStack() as running:
        before_cluster = await running.enter_async_context(before(config))
        before_twilio = await running.enter_async_context(proxy(twilio.url))
        limited = directory / "kubeconfig"
        write_kubeconfig(limited, before_cluster.url, config.bearer_token())
        environment = {
            "KUBECONFIG": str(limited),
            "SWITCHBOARD_PUBLIC_URL": PUBLIC,
            "SWITCHBOARD_TWILIO_BASE_URL": before_twilio.url,
            "SWITCHBOARD_REQUEST_SECONDS": "1",
            "SWITCHBOARD_LOG_FORMAT": "text",
        }
        if kubeconfig:  # a named cluster has other tests' namespaces, with operators of their own
            environment["SWITCHBOARD_NAMESPACES"] = json.dumps(namespaces.names)
        yield Site(kubectl, twilio, before_cluster, before_twilio, namespaces, environment, directory)
        if kubeconfig:
            await namespaces.leave(served=False)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def operator(site: Site) -> AsyncIterator[Any]:
    """One operator for all runs of a module: a second one would be met by tests that start their own.

    It is told of no more namespaces than those runs take: all watches of each begin through a proxy in this process.
    """
    next_ones = {}
    if "SWITCHBOARD_NAMESPACES" in site.environment:
        next_ones["SWITCHBOARD_NAMESPACES"] = json.dumps(site.namespaces.left()[:RUNS])
    async with site.operator(**next_ones) as process:
        yield process
