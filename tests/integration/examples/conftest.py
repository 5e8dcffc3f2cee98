"""Examples applied to a cluster: in a namespace, and with an account and a number, of their own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.engines.conftest import Servers
from tests.integration.product.conftest import Tenant

from switchboard.sandbox import stack
from switchboard.sandbox.twilio.control_models import AccountSpec, NumberSpec, SenderSpec

EXAMPLES = Path(__file__).parents[3] / "examples"
APPLIED = ("Secret", "TwilioConnector", "Agent")
"""What the operator needs. The examples' own servers run beside the test, since a cluster may have no network."""


@pytest.fixture(scope="session")
def servers() -> Any:
    """The examples' servers and the stubs, as processes of this worker."""
    started = Servers()
    yield started
    started.stop()


@pytest.fixture
def example(product: Any) -> Callable[..., Any]:
    """Applies an example, its engine changed by a function, and gives its tenant once it is connected."""

    async def apply(name: str, change: Callable[[dict[str, Any]], None], **values: dict[str, str]) -> Tenant:
        namespace = await product.namespace()
        account, token = f"AC{secrets.token_hex(16)}", secrets.token_hex(16)
        number, person = product.twilio.number(), product.twilio.number()
        await product.twilio.control.create_account(
            AccountSpec(
                sid=account,
                auth_token=token,
                friendly_name="Acme",
                numbers=[NumberSpec(phone_number=number)],
                senders=[SenderSpec(phone_number=number)],
            )
        )
        values["twilio"] = {"accountSid": account, "authToken": token}
        objects = [
            entry
            for entry in stack.manifests(EXAMPLES / name)
            if entry["kind"] in APPLIED and not entry["apiVersion"].startswith("kagent")
        ]
        for entry in objects:
            entry["metadata"]["namespace"] = namespace
            if entry["kind"] == "Secret":
                entry["stringData"] |= values.get(entry["metadata"]["name"], {})
            elif entry["kind"] == "TwilioConnector":
                entry["spec"]["fromNumber"] = number
                connector = entry["metadata"]["name"]
            else:
                change(entry["spec"]["template"]["engine"])
                entry["spec"]["template"]["webhook"] = {"replicas": 1}
        await product.kubectl.apply(objects)
        await product.kubectl.until(
            stack.resources.TWILIO_CONNECTORS, connector, lambda it: stack.reason(it) == "Connected", namespace
        )
        return Tenant(product, namespace, account, token, number, person, objects)

    return apply
