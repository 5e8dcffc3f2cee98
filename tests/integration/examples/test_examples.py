"""Each example, applied and texted."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.engines.conftest import STUBS, Servers
from tests.integration.examples.conftest import EXAMPLES
from tests.integration.product.everything import logs, objects_but_secrets

from kubesandbox.node.addresses import local
from switchboard.kube.resources import AGENTS, DEPLOYMENTS, EXECUTIONS, PODS
from switchboard.sandbox import stack

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.cluster]
Example = Callable[..., Any]
TOKEN = f"Bearer {secrets.token_hex(16)}"


async def steps(tenant: Any) -> list[tuple[str, str]]:
    """Kind and name of each step of the last execution."""
    listing = await tenant.product.kubectl.api.list(EXECUTIONS, tenant.namespace)
    (last,) = listing.items
    return [(step["kind"], step["name"]) for step in last["status"]["steps"]]


async def test_the_menu_answers_a_text(example: Example) -> None:
    tenant = await example("menu", lambda engine: None)
    assert await tenant.ask("order 1234 for Ann") == "Order 1234 for Ann is in the oven."
    assert await steps(tenant) == [("Rule", "rules[4]")]


async def test_the_http_agent_runs_by_its_own_deployment_and_answers_a_text(example: Example, product: Any) -> None:
    namespace = await product.namespace()
    await product.kubectl.apply(workload("http-agent", namespace, "echo-agent-code", "agent.py"))
    await product.kubectl.until(
        DEPLOYMENTS, "echo-agent", lambda it: it.get("status", {}).get("availableReplicas") == 1, namespace
    )
    (pod,) = (await product.kubectl.api.list(PODS, namespace, label_selector="app=echo-agent")).items
    # Names of Services are the cluster's to resolve; the webhook runs as a process of this machine.
    url = f"http://{local(pod['status']['podIP'])}:8080"
    tenant = await example("http-agent", lambda engine: engine["endpoint"].update(url=url))
    assert await tenant.ask("hello") == "Hello stranger, you said: hello"
    assert await steps(tenant) == [("EndpointRequest", f"POST {url}")]


async def test_the_kagent_agent_answers_on_whatsapp_and_remembers(
    example: Example, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen_here(monkeypatch)
    url = servers.get(EXAMPLES / "kagent-whatsapp" / "agent.py").url + "/api/a2a/acme/support"
    tenant = await example("kagent-whatsapp", lambda engine: engine["endpoint"].update(url=url))
    assert await tenant.ask("hello", "WhatsApp") == "Message 1 of this conversation: hello"
    assert await tenant.ask("again", "WhatsApp") == "Message 2 of this conversation: again"


async def test_the_llm_agent_asks_its_tools(
    example: Example, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen_here(monkeypatch, AUTHORIZATION=TOKEN)
    tools = servers.get(EXAMPLES / "llm-agent" / "orders.py")
    provider = servers.get(STUBS / "openai_stub.py")

    def change(engine: dict[str, Any]) -> None:
        engine["model"]["baseURL"] = f"{provider.url}/v1"
        engine["model"]["mcpServers"][0]["url"] = f"{tools.url}/mcp"

    key = f"sk-{secrets.token_hex(16)}"
    values = {"openai": {"apiKey": key}, "orders-mcp": {"Authorization": TOKEN}}
    tenant = await example("llm-agent", change, **values)
    assert await tenant.ask('use orders_status {"order": 1234}') == "the tool said in the oven"
    assert await steps(tenant) == [
        ("ModelRequest", "stub-model-1"),
        ("ToolCall", "orders_status"),
        ("ModelRequest", "stub-model-1"),
    ]
    for text in [*await objects_but_secrets(tenant), *logs(tenant)]:
        assert key not in text
        assert TOKEN not in text


KEY = {"apiKey": {"secretRef": {"name": "nowhere", "key": "apiKey"}}}


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        (
            {"script": {"rules": [{"match": "a", "reply": "{b}"}]}},
            "spec.template.engine.script.rules[0].reply: {b} names",
        ),
        ({"script": {"rules": [{"match": "(", "reply": "b"}]}}, "spec.template.engine.script.rules[0].match: '('"),
        ({"model": {"name": "opnai:gpt-5"}}, "spec.template.engine.model.name: provider 'opnai' is not known"),
        ({"model": {"name": "openai:gpt-5"} | KEY}, "spec.template.engine.model.apiKey"),
    ],
    ids=["reply", "match", "provider", "key"],
)
async def test_an_engine_that_cannot_work_is_a_condition_before_it_is_a_failed_message(
    product: Any, engine: dict[str, Any], says: str
) -> None:
    namespace = await product.namespace()
    template = {"engine": engine, "webhook": {"replicas": 1}}
    agent = {"apiVersion": "switchboard.dev/v1alpha1", "kind": "Agent", "spec": {"template": template}}
    await product.kubectl.apply([agent | {"metadata": {"name": "wrong", "namespace": namespace}}])
    failed = await product.kubectl.until(
        AGENTS, "wrong", lambda it: says in stack.condition(it, "Ready").get("message", ""), namespace
    )
    assert stack.condition(failed, "Ready")["status"] == "False"


def workload(name: str, namespace: str, code: str, file: str) -> list[dict[str, Any]]:
    """What `kubectl kustomize` makes of an example's server: its Secret, its code, Deployment and Service."""
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": code}}
    objects = [config_map | {"data": {file: (EXAMPLES / name / file).read_text()}}]
    objects += [entry for entry in stack.manifests(EXAMPLES / name) if entry["kind"] in SERVER]
    for entry in objects:
        entry["metadata"]["namespace"] = namespace
    return objects


SERVER = ("Secret", "Deployment", "Service")


def listen_here(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """What the next server is started with."""
    for name, value in {"HOST": "127.0.0.1", "PORT": "0", **environment}.items():
        monkeypatch.setenv(name, value)
