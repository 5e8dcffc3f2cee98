"""A desk for each test: a namespace, a Twilio account with a number, and an operator that looks every second.

Agents here have no replicas: their Deployment is available at once, so that what is tested is the operator and not how
long pods take. Tests that are about pods ask for some.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from tests.kinds import OURS_AND_MADE
from tests.namespaces import Namespaces, needed

from switchboard.api.runtime import OVERRIDES
from switchboard.kube import resources
from switchboard.kube.errors import NotFound
from switchboard.kube.resources import Object, ResourceType
from switchboard.sandbox import stack
from switchboard.sandbox.stack import condition, reason
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec, SenderSpec

PUBLIC = "https://agents.example.com"
OLD = "https://user:pass@old.example.com/sms?key=1"
INTERVAL = 1.0
NAMESPACES_OWN = {"default", "kube-root-ca.crt"}
"""The ServiceAccount and the ConfigMap that Kubernetes makes in each namespace, in its own time."""


@dataclass
class Office:
    """An operator of one's own, and the namespaces that it watches."""

    kubectl: Any
    twilio: Any
    operator: Any
    namespaces: Any
    environment: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(
    request: pytest.FixtureRequest, cluster: Any, kubectl: Any, twilio: Any, kubeconfig: Any, tmp_path_factory: Any
) -> AsyncIterator[Office]:
    """The operator as a process, quick to look at Twilio."""
    namespaces = Namespaces(kubectl, "op", needed(request))
    environment = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "SWITCHBOARD_PUBLIC_URL": PUBLIC,
        "SWITCHBOARD_ALLOWED_HOSTS": '["*.allowed.example.com"]',
        "SWITCHBOARD_TWILIO_BASE_URL": twilio.url,
        "SWITCHBOARD_NAMESPACES": json.dumps(namespaces.names),
        "SWITCHBOARD_CHECK_INTERVAL": str(INTERVAL),
        "SWITCHBOARD_RELEASE_SECONDS": "2",
        "SWITCHBOARD_LOG_FORMAT": "text",
    }
    async with stack.operator(tmp_path_factory.mktemp("operator"), environment) as process:
        yield Office(kubectl, twilio, process, namespaces, environment)
        if kubeconfig:  # an embedded cluster goes with all that is in it
            await namespaces.leave()


@dataclass
class Desk:
    """What one test works with."""

    office: Office
    namespace: str
    account: str
    token: str
    number: str
    number_sid: str
    _made: list[tuple[ResourceType, str]] = field(default_factory=list)

    @property
    def kubectl(self) -> Any:
        return self.office.kubectl

    @property
    def control(self) -> Any:
        return self.office.twilio.control

    def url(self, connector: str = "sms", public: str = PUBLIC) -> str:
        """What has to stand at Twilio."""
        return f"{public}/twilio/{self.namespace}/{connector}{OVERRIDES}"

    # What people apply

    async def secret(self, name: str = "twilio", *, allowed: bool = True, **values: str) -> None:
        """A Secret with the account's credentials, or with other values."""
        await self.kubectl.apply(
            [
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {
                        "name": name,
                        "namespace": self.namespace,
                        "labels": {"switchboard.dev/use": "true"} if allowed else {},
                    },
                    "stringData": {"accountSid": self.account, "authToken": self.token, **values},
                }
            ]
        )

    async def connector(self, name: str = "sms", **spec: Any) -> None:
        """A connector of the account's number."""
        wanted = {"credentials": {"secretRef": {"name": "twilio"}}, "fromNumber": self.number, **spec}
        await self._apply("TwilioConnector", name, {key: value for key, value in wanted.items() if value is not None})

    async def agent(self, name: str = "support", *, connectors: tuple[str, ...] = ("sms",), **changes: Any) -> None:
        """An Agent without pods that answers for connectors. `changes`: other fields of its template."""
        template = {
            "engine": {"script": {"rules": [], "fallback": "Hello."}},
            "connectors": [{"name": connector} for connector in connectors],
            "webhook": {"replicas": 0},
            **changes.pop("template", {}),
        }
        await self._apply("Agent", name, {"template": template, **changes})

    async def _apply(self, kind: str, name: str, spec: Object) -> None:
        metadata = {"name": name, "namespace": self.namespace}
        await self.kubectl.apply(
            [{"apiVersion": "switchboard.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}]
        )

    async def annotate(self, connector: str, value: str) -> None:
        """`kubectl annotate twilioconnector … switchboard.dev/test=VALUE`."""
        patch = {"metadata": {"annotations": {"switchboard.dev/test": value}}}
        await self.kubectl.api.merge_patch(resources.TWILIO_CONNECTORS, connector, self.namespace, patch)

    async def delete(self, resource: ResourceType, name: str) -> None:
        """`kubectl delete`."""
        await self.kubectl.api.delete(resource, name, self.namespace)

    # What they then see

    async def says(self, wanted: str, name: str = "sms") -> Object:
        """The connector, once its `Ready` has that reason."""
        return await self.until(resources.TWILIO_CONNECTORS, name, lambda it: reason(it) == wanted)

    async def connected(self, name: str = "sms") -> Object:
        """The connector, once it is connected."""
        return await self.says("Connected", name)

    async def agent_says(self, wanted: str, name: str = "support") -> Object:
        """The Agent, once its `Ready` has that reason."""
        return await self.until(resources.AGENTS, name, lambda it: reason(it) == wanted)

    async def settled(self) -> Object:
        """The Agent, once it serves and all is told of it and its connector: Events are posted after the status."""
        agent = await self.agent_says("Serving")
        await self.event("Serving")
        await self.event("Connected")
        return agent

    async def at_rest(self) -> None:
        """Returns once Agents tell of their connectors, and the cluster's own controllers of what was made for them."""
        told_by = {resources.AGENTS: _connected, resources.DEPLOYMENTS: _rolled_out, resources.INGRESSES: _routed}
        for kind, told in told_by.items():
            for obj in await self.list(kind):
                await self.until(kind, obj["metadata"]["name"], told)

    async def until(self, resource: ResourceType, name: str, holds: Callable[[Object], bool], **options: Any) -> Object:
        """An object, as soon as it is so."""
        found: Object = await self.kubectl.until(resource, name, holds, self.namespace, timeout=60, **options)
        return found

    async def gone(self, resource: ResourceType, name: str) -> None:
        """Waits until an object is gone."""
        await self.until(resource, name, lambda _: False, gone=True)

    async def get(self, resource: ResourceType, name: str) -> Object | None:
        """An object as it is now."""
        try:
            found: Object = await self.kubectl.api.get(resource, name, self.namespace)
        except NotFound:
            return None
        return found

    async def versions(self) -> dict[str, str]:
        """The version of every object of ours or made for it, Events included: a write of any of them shows."""
        return {
            f"{kind.plural}/{obj['metadata']['name']}": obj["metadata"]["resourceVersion"]
            for kind in (*OURS_AND_MADE, resources.SECRETS, resources.EVENTS)
            for obj in await self.list(kind)
            if obj["metadata"]["name"] not in NAMESPACES_OWN
        }

    async def list(self, resource: ResourceType) -> list[Object]:
        """All objects of a type in the test's namespace."""
        found: list[Object] = (await self.kubectl.api.list(resource, self.namespace)).items
        return found

    async def event(self, wanted: str, count: int = 1) -> list[Object]:
        """The Events of a reason, once there are `count`."""
        found: dict[str, Object] = {}
        watch = self.kubectl.api.watch(resources.EVENTS, self.namespace)
        async for change in watch:  # what was seen may be listed again
            items = change.items if hasattr(change, "items") else [change.object]
            found |= {item["metadata"]["uid"]: item for item in items if item["reason"] == wanted}
            if len(found) >= count:
                break
        await watch.aclose()
        return list(found.values())

    async def reasons(self) -> list[str]:
        """The reasons of all Events so far."""
        return [event["reason"] for event in await self.list(resources.EVENTS)]

    async def at_twilio(self) -> NumberSpec:
        """The number as Twilio has it now."""
        found: NumberSpec = await self.control.number(self.account, self.number)
        return found

    async def stands(self, url: str) -> None:
        """Waits until Twilio has this webhook at the number."""
        async for _ in self.passes():
            if (await self.at_twilio()).sms_url == url:
                return

    async def passes(self) -> AsyncIterator[int]:
        """One pass of the operator after another, seen by the answers to the annotation that asks for a check."""
        for index in itertools.count():
            value = f"pass-{secrets.token_hex(4)}"
            await self.annotate("sms", value)
            await self.until(
                resources.TWILIO_CONNECTORS,
                "sms",
                lambda it, value=value: it.get("status", {}).get("lastTest", {}).get("requested") == value,  # type: ignore[misc]
            )
            yield index


def _connected(agent: Object) -> bool:
    """What a connector says reaches its Agent a moment later."""
    said = [entry["status"] for entry in agent.get("status", {}).get("connectors", ())]
    return said == ["Connected"] * len(agent["spec"]["template"].get("connectors", ()))


def _rolled_out(deployment: Object) -> bool:
    """The Deployment controller writes its annotation and its status one after the other."""
    return (
        "deployment.kubernetes.io/revision" in deployment["metadata"].get("annotations", {})
        and condition(deployment, "Progressing").get("reason") == "NewReplicaSetAvailable"
    )


def _routed(ingress: Object) -> bool:
    return bool(ingress.get("status", {}).get("loadBalancer", {}).get("ingress"))


@pytest_asyncio.fixture(loop_scope="session")
async def desk(office: Office) -> AsyncIterator[Desk]:
    """A namespace and an account with one number, whose webhook is somebody's."""
    account, token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
    number = office.twilio.number()
    made = await office.twilio.control.create_account(
        AccountSpec(
            sid=account,
            auth_token=token,
            friendly_name="Acme",
            numbers=[NumberSpec(phone_number=number, sms_url=OLD, sms_fallback_url="https://fallback.example.com/")],
            senders=[SenderSpec(phone_number=number)],
        )
    )
    namespace = await office.namespaces.take()
    yield Desk(office, namespace, account, token, number, made.numbers[0].sid)
    with contextlib.suppress(NotFound):
        await office.kubectl.delete_namespace(namespace)


@pytest_asyncio.fixture(loop_scope="session")
async def connected(desk: Desk) -> Desk:
    """A desk whose connector `sms` is connected to the Agent `support`."""
    await desk.secret()
    await desk.connector()
    await desk.agent()
    await desk.connected()
    return desk
