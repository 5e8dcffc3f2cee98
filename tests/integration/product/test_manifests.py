"""A wrong manifest is refused by the API, in words that name the field."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.kube.errors import Invalid, KubeError

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.cluster]

SCRIPT = {"script": {"fallback": "hi"}}


def _set(manifest: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for part in parents:
        manifest = manifest[int(part)] if isinstance(manifest, list) else manifest.setdefault(part, {})
    manifest[last] = value


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("spec.connectorName", "Production-SMS", "spec.connectorName"),
        ("spec.connectorName", "9lives", "spec.connectorName"),
        ("spec.fromNumber", "5005550006", "spec.fromNumber"),
        ("spec.fromNumber", "+0123456", "spec.fromNumber"),
        ("spec.fromNumber", "whatsapp:+15005550006", "spec.fromNumber"),
        ("spec.channels", ["Fax"], "spec.channels[0]"),
        ("spec.channels", [], "spec.channels"),
        ("spec.credentials", {"secretRef": {}}, "spec.credentials.secretRef.name"),
        ("spec.access", {"policy": "Everybody"}, "spec.access.policy"),
        ("spec.access", {"policy": "AllowList", "allow": ["15005550006"]}, "spec.access.allow[0]"),
        ("spec.messagingServiceSid", "PN1", "spec.messagingServiceSid"),
        ("spec.publicURL", "ftp://example.com", "spec.publicURL"),
        ("spec.webhookScope", "Everything", "spec.webhookScope"),
    ],
)
async def test_a_wrong_connector_names_its_field(tenant: Any, field: str, value: Any, named: str) -> None:
    connector = tenant.manifest("TwilioConnector")
    _set(connector, field, value)
    with pytest.raises(Invalid) as refused:
        await tenant.product.kubectl.apply([connector])
    assert named in str(refused.value)


TEMPLATE = "spec.template"


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("engine", {}, "exactly one of"),
        ("engine", {**SCRIPT, "endpoint": {"url": "http://agent/"}}, "exactly one of"),
        ("engine", {"endpoint": {"url": "agent.example.com"}}, f"{TEMPLATE}.engine.endpoint.url"),
        ("engine", {"model": {"name": "gpt"}}, f"{TEMPLATE}.engine.model.name"),
        ("connectors", [{"name": "Production SMS"}], f"{TEMPLATE}.connectors[0].name"),
        (
            "connectors",
            [{"name": "a", "outbound": {"useSenderAsReceiver": False}}],
            f"{TEMPLATE}.connectors[0].outbound",
        ),
        (
            "connectors",
            [{"name": "a", "inbound": {"fromNumber": "911"}}],
            f"{TEMPLATE}.connectors[0].inbound.fromNumber",
        ),
        ("turn", {"maxAttempts": 0}, f"{TEMPLATE}.turn.maxAttempts"),
        ("turn", {"timeoutSeconds": -1}, f"{TEMPLATE}.turn.timeoutSeconds"),
        ("webhook", {"replicas": -1}, f"{TEMPLATE}.webhook.replicas"),
        ("name", "V 1", f"{TEMPLATE}.name"),
    ],
)
async def test_a_wrong_agent_names_its_field(tenant: Any, field: str, value: Any, named: str) -> None:
    agent = tenant.manifest("Agent")
    agent["spec"]["template"][field] = value
    with pytest.raises(Invalid) as refused:
        await tenant.product.kubectl.apply([agent])
    assert named in str(refused.value)


async def test_a_connector_that_is_named_twice_is_refused(tenant: Any) -> None:
    agent = tenant.manifest("Agent")
    agent["spec"]["template"]["connectors"] = [{"name": "a"}, {"name": "a"}]
    with pytest.raises(KubeError) as refused:
        await tenant.product.kubectl.apply([agent])
    assert "spec.template.connectors" in str(refused.value)
    assert 'duplicate entries for key [name="a"]' in str(refused.value)


@pytest.mark.parametrize("name", ["support.v1", "1support", "s" * 41])
async def test_an_agents_name_must_be_one_that_a_service_can_have(tenant: Any, name: str) -> None:
    agent = tenant.manifest("Agent")
    agent["metadata"]["name"] = name
    with pytest.raises(Invalid) as refused:
        await tenant.product.kubectl.apply([agent])
    assert "40 characters" in str(refused.value)


async def test_a_saved_revision_cannot_be_changed(customer: Any) -> None:
    from switchboard.kube.resources import AGENT_REVISIONS

    api = customer.product.kubectl.api
    patch = {"spec": {"engine": {"script": {"fallback": "another"}}}}
    with pytest.raises(Invalid, match="immutable"):
        await api.merge_patch(AGENT_REVISIONS, "support-v1", customer.namespace, patch)
