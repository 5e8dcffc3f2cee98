"""What a person sees of an engine that fails: a later answer or the fallback reply, and why in the execution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.engines.conftest import STUBS, Servers

from switchboard.kube.resources import EXECUTIONS

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.cluster]
Example = Callable[..., Any]


async def execution(tenant: Any) -> dict[str, Any]:
    (found,) = (await tenant.product.kubectl.api.list(EXECUTIONS, tenant.namespace)).items
    status: dict[str, Any] = found["status"]
    return status


def without_tools(url: str) -> Callable[[dict[str, Any]], None]:
    def change(engine: dict[str, Any]) -> None:
        engine["model"]["baseURL"] = f"{url}/v1"
        del engine["model"]["mcpServers"]

    return change


async def test_a_rate_limit_is_waited_out_and_the_text_answered(example: Example, servers: Servers) -> None:
    provider = servers.get(STUBS / "openai_stub.py")
    tenant = await example("llm-agent", without_tools(provider.url))
    await provider.plan({"status": 429, "headers": {"Retry-After": "1"}, "body": {"error": {"message": "slow down"}}})
    assert (await tenant.ask("hello")).startswith("heard 'hello'")
    status = await execution(tenant)
    assert (status["state"], status["attempts"], status["model"]) == ("Succeeded", 2, "stub-model-1")
    assert status["usage"]["inputTokens"] == 11


async def test_what_will_never_work_gets_the_fallback_reply_and_says_why(example: Example, servers: Servers) -> None:
    provider = servers.get(STUBS / "openai_stub.py")
    tenant = await example("llm-agent", without_tools(provider.url))
    await provider.plan(
        {"status": 401, "body": {"error": {"message": "Incorrect API key provided: replace-with-your-key"}}}
    )
    assert await tenant.ask("hello") == "Sorry, something went wrong. Please try again later."
    status = await execution(tenant)
    assert (status["state"], status["attempts"], status["model"]) == ("Failed", 1, "openai:gpt-5.2")
    assert status["error"]["kind"] == "ModelUnauthorized"
    assert status["error"]["message"].startswith("spec.template.engine.model.apiKey: ")
    assert [(step["kind"], step["error"]) for step in status["steps"]] == [
        ("ModelRequest", "the provider refuses the key")
    ]
