"""A tenant: the quickstart in a namespace and with an account and a number of its own."""

from __future__ import annotations

import copy
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio

from switchboard.kube.resources import PODS, TWILIO_CONNECTORS
from switchboard.sandbox import stack
from switchboard.sandbox.stack import Manifest, reason
from switchboard.sandbox.twilio.control_models import AccountSpec, ChannelName, NumberSpec, SenderSpec

QUICKSTART = Path(__file__).parents[3] / "examples" / "quickstart"
OLD_WEBHOOK = "https://old.example.com/sms"


@dataclass
class Tenant:
    """Somebody who applied the quickstart."""

    product: Any
    namespace: str
    account: str
    token: str
    number: str
    person: str
    objects: list[Manifest]

    def manifest(self, kind: str) -> Manifest:
        """A copy of the quickstart's object of that kind."""
        return copy.deepcopy(next(entry for entry in self.objects if entry["kind"] == kind))

    async def connected(self) -> Manifest:
        """The connector, once it is connected."""
        return await self.connector("Connected")

    async def connector(self, wanted: str) -> Manifest:
        """The connector, once its `Ready` has that reason."""
        connector: Manifest = await self.product.kubectl.until(
            TWILIO_CONNECTORS, "production-sms", lambda it: reason(it) == wanted, self.namespace
        )
        return connector

    async def ask(self, text: str, channel: ChannelName = "SMS") -> str:
        """The answer to a text."""
        control = self.product.twilio.control
        before = len(await control.inbox(self.person, wait=False))
        await control.text(self.person, self.number, text, channel=channel)
        return await self.heard(before)

    async def heard(self, index: int) -> str:
        """What the person was told there, counted from 0."""
        # A text that came before its route led here is found at Twilio half a minute later.
        try:
            return str((await self.product.twilio.control.next_message(self.person, after=index, timeout=90)).body)
        except TimeoutError:
            raise AssertionError(f"no message {index} to the person\n{await self.told()}") from None

    async def told(self) -> str:
        """The end of each pod's log."""
        api, logs = self.product.kubectl.api, []
        for pod in (await api.list(PODS, self.namespace)).items:
            name = pod["metadata"]["name"]
            path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/log?tailLines=60"
            answer = await api._sender.send("GET", api._target(path), await api._headers(), None)
            logs.append(f"--- {name}\n{answer.body.decode()}")
        return "\n".join(logs)

    async def at_twilio(self) -> NumberSpec:
        """The number as Twilio has it now."""
        number: NumberSpec = await self.product.twilio.control.number(self.account, self.number)
        return number


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(product: Any) -> Tenant:
    """The quickstart's objects for a namespace of one's own, not yet applied; account, number and sender exist."""
    namespace = await product.namespace()
    account, token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
    number, person = product.twilio.number(), product.twilio.number()
    await product.twilio.control.create_account(
        AccountSpec(
            sid=account,
            auth_token=token,
            friendly_name="Acme",
            numbers=[NumberSpec(phone_number=number, sms_url=OLD_WEBHOOK)],
            senders=[SenderSpec(phone_number=number)],
        )
    )
    objects = [entry for entry in stack.manifests(QUICKSTART) if entry["kind"] != "Namespace"]
    for entry in objects:
        entry["metadata"]["namespace"] = namespace
        if entry["kind"] == "Secret":
            entry["stringData"] = {"accountSid": account, "authToken": token}
        if entry["kind"] == "TwilioConnector":
            entry["spec"]["fromNumber"] = number
    return Tenant(product, namespace, account, token, number, person, objects)


@pytest_asyncio.fixture(loop_scope="session")
async def customer(tenant: Tenant) -> Tenant:
    """A tenant whose quickstart is applied and connected."""
    await tenant.product.kubectl.apply(tenant.objects)
    await tenant.connected()
    return tenant
