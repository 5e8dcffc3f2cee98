"""Each example, applied and texted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.engines.conftest import STUBS, Servers
from tests.integration.examples.conftest import EXAMPLES

from switchboard.kube.resources import EXECUTIONS

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.cluster]
Example = Callable[..., Any]


async def steps(tenant: Any) -> list[tuple[str, str]]:
    """Kind and name of each step of the last execution."""
    listing = await tenant.product.kubectl.api.list(EXECUTIONS, tenant.namespace)
    (last,) = listing.items
    return [(step["kind"], step["name"]) for step in last["status"]["steps"]]


async def test_the_menu_answers_a_text(example: Example) -> None:
    tenant = await example("menu", lambda engine: None)
    assert await tenant.ask("order 1234 for Ann") == "Order 1234 for Ann is in the oven."
    assert await steps(tenant) == [("Rule", "rules[4]")]


async def test_the_http_agent_answers_a_text(
    example: Example, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "whsec_cmVwbGFjZS13aXRoLXlvdXItb3duLXNlY3JldCEhISE="
    listen_here(monkeypatch, SIGNING_SECRET=key)
    server = servers.get(EXAMPLES / "http-agent" / "agent.py")
    tenant = await example("http-agent", lambda engine: engine["endpoint"].update(url=server.url))
    assert await tenant.ask("hello") == "Hello stranger, you said: hello"
    assert await steps(tenant) == [("EndpointRequest", f"POST {server.url}")]


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
    listen_here(monkeypatch, AUTHORIZATION="Bearer of-orders")
    tools = servers.get(EXAMPLES / "llm-agent" / "orders.py")
    provider = servers.get(STUBS / "openai_stub.py")

    def change(engine: dict[str, Any]) -> None:
        engine["model"]["baseURL"] = f"{provider.url}/v1"
        engine["model"]["mcpServers"][0]["url"] = f"{tools.url}/mcp"

    tenant = await example("llm-agent", change, **{"orders-mcp": {"Authorization": "Bearer of-orders"}})
    assert await tenant.ask('use orders_status {"order": 1234}') == "the tool said in the oven"
    assert await steps(tenant) == [
        ("ModelRequest", "stub-model-1"),
        ("ToolCall", "orders_status"),
        ("ModelRequest", "stub-model-1"),
    ]


def listen_here(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """What the next server is started with."""
    for name, value in {"HOST": "127.0.0.1", "PORT": "0", **environment}.items():
        monkeypatch.setenv(name, value)
