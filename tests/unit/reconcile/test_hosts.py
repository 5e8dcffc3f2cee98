"""Where an Agent's author may have engines send what Secrets hold."""

from __future__ import annotations

from typing import Any

import pytest

from switchboard.api.agent import AgentTemplate
from switchboard.reconcile.hosts import problem

MODEL = {"model": {"name": "openai:x", "baseURL": "http://vllm.models:8000/v1"}}
TOOLS = {"model": {"name": "openai:x", "mcpServers": [{"name": "orders", "url": "https://orders.tools.example/mcp"}]}}
ENDPOINT = {"endpoint": {"url": "https://agent.example.com/x"}}


@pytest.mark.parametrize(
    ("engine", "allowed", "field"),
    [
        (MODEL, ["vllm.models:8000"], None),
        (MODEL, ["vllm.models:9000"], "model.baseURL"),
        (MODEL, ["models"], "model.baseURL"),
        (TOOLS, ["*.tools.example"], None),
        (TOOLS, ["*.other.example"], "model.mcpServers[orders].url"),
        (ENDPOINT, ["agent.example.com"], None),
        (ENDPOINT, ["example.com"], "endpoint.url"),
        (ENDPOINT, [], None),
        ({"script": {}}, ["nowhere"], None),
    ],
)
def test_an_engine_reaches_hosts_that_are_allowed_and_no_other(
    engine: dict[str, Any], allowed: list[str], field: str | None
) -> None:
    found = problem(AgentTemplate.model_validate({"engine": engine}), allowed)
    assert (found is None) == (field is None)
    if found is not None and field is not None:
        assert found.reason == "HostNotAllowed"
        assert f"spec.template.engine.{field} names the host" in found.message
