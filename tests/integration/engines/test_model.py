"""`engine.model` against servers that speak OpenAI's and Anthropic's protocols, and an MCP server."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from tests.integration.engines.conftest import Make, Secrets, Server, Start
from tests.unit.engines.turns import NOW, said, turn

from switchboard.api.conversation import Step
from switchboard.api.engine import Engine as Spec
from switchboard.engines import (
    EngineMisconfigured,
    EngineRefused,
    EngineUnavailable,
    Media,
    Said,
)

KEY = "sk-very-secret-value-123"
PATHS = {"openai": "/v1", "anthropic": ""}


def model(server: Server, provider: str = "openai", **fields: Any) -> Spec:
    spec = {
        "name": f"{provider}:stub",
        "baseURL": server.url + PATHS.get(provider, "/v1"),
        "instructions": "You are a stub.",
        "apiKey": {"secretRef": {"name": "model", "key": "apiKey"}},
    }
    return Spec.model_validate({"model": spec | fields})


@pytest.fixture(autouse=True)
def api_key(secrets: Secrets) -> None:
    secrets("engine/api-key", KEY + "\n")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_text_is_answered_over_the_wire(start: Start, make: Make, provider: str, stream: bool) -> None:
    server = await start(f"{provider}_stub")
    made = make(model(server, provider, stream=stream, settings={"temperature": 0.5, "maxTokens": 99}))
    answer = await made.answer(turn("hello"))
    assert answer.text == "heard 'hello' after " + ("1 messages" if provider == "openai" else "0 messages")
    assert answer.model == ("stub-model-1" if provider == "openai" else "stub-claude-1")
    assert (answer.usage.requests, answer.usage.input_tokens) == (1, 11 if provider == "openai" else 13)
    assert answer.usage.output_tokens == (7 if provider == "openai" else 5)
    assert [(step.kind, step.error) for step in answer.steps] == [("ModelRequest", None)]
    (asked,) = await server.requests()
    headers, body = asked["headers"], asked["json"]
    assert (headers.get("authorization") or headers["x-api-key"]).removeprefix("Bearer ") == KEY
    assert body["temperature"] == 0.5
    assert 99 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert bool(body.get("stream")) is stream
    instructions = json.dumps(body.get("system") or body["messages"][0])
    assert "You are a stub." in instructions
    assert "production-sms" in instructions
    assert "2026-11-22T12:00:00+00:00 (Sunday)" in instructions


async def test_openai_s_own_models_are_asked_by_responses_where_that_is_named(start: Start, make: Make) -> None:
    server = await start("openai_stub")
    answer = await make(model(server, "openai-responses")).answer(turn("hello"))
    assert answer.text == "responses heard 'hello'"
    assert [asked["path"] for asked in await server.requests()] == ["/v1/responses"]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_history_keeps_its_order_and_tool_calls_their_results(start: Start, make: Make, provider: str) -> None:
    server = await start(f"{provider}_stub")
    tools = await start("mcp_stub", "")
    call = Step(kind="ToolCall", name="orders_status", arguments='{"number": 7}', result="order 7 is packed")
    other = Step(kind="ToolCall", name="gone_tool", arguments="{}", result="never shown")
    history = [
        said("an answer without its question", by_contact=False),
        said("where is 7?"),
        Said(by_contact=False, text="It is packed.", time=NOW, steps=[call, other]),
        said("thanks"),
    ]
    spec = model(server, provider, mcpServers=[{"name": "orders", "url": f"{tools.url}/mcp"}])
    await make(spec).answer(turn("and 8?", history=history))
    (asked,) = await server.requests()
    told = json.dumps(asked["json"]["messages"])
    for earlier, later in [
        ("where is 7?", "orders_status"),
        ("orders_status", "order 7 is packed"),
        ("order 7 is packed", "It is packed."),
        ("It is packed.", "thanks"),
        ("thanks", "and 8?"),
    ]:
        assert told.index(earlier) < told.index(later)
    assert "an answer without its question" not in told
    assert "never shown" not in told


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_tool_of_an_mcp_server_is_called_and_each_step_is_kept(
    start: Start, make: Make, secrets: Secrets, provider: str, stream: bool
) -> None:
    server, tools = await start(f"{provider}_stub"), await start("mcp_stub", "the-key-of-orders")
    secrets("mcp/orders/x-key", "the-key-of-orders\n")
    servers = [{"name": "orders", "url": f"{tools.url}/mcp", "headersSecretRef": {"name": "orders"}}]
    made = make(model(server, provider, stream=stream, mcpServers=servers))
    answer = await made.answer(turn('use orders_status {"number": 42}'))
    assert answer.text == "the tool said order 42 is on its way [exe-1]"
    assert [(step.kind, step.name) for step in answer.steps] == [
        ("ModelRequest", "stub-model-1" if provider == "openai" else "stub-claude-1"),
        ("ToolCall", "orders_status"),
        ("ModelRequest", "stub-model-1" if provider == "openai" else "stub-claude-1"),
    ]
    assert answer.steps[1].arguments == '{"number":42}'
    assert answer.steps[1].result == "order 42 is on its way [exe-1]"
    assert all(step.milliseconds is not None and step.start_time is not None for step in answer.steps)
    assert (answer.usage.requests, answer.usage.tool_calls) == (2, 1)


async def test_a_tool_that_fails_is_told_to_the_model(start: Start, make: Make) -> None:
    server, tools = await start("openai_stub"), await start("mcp_stub", "")
    spec = model(server, mcpServers=[{"name": "orders", "url": f"{tools.url}/mcp"}])
    answer = await make(spec).answer(turn('use orders_fail {"number": 1}'))
    assert answer.text.startswith("the tool said ")
    assert "order 1 is lost" in answer.text
    assert [(step.name, step.result) for step in answer.steps if step.kind == "ToolCall"] == [("orders_fail", None)]
    assert "order 1 is lost" in (answer.steps[1].error or "")


async def test_a_call_of_no_tool_or_with_wrong_arguments_is_told_to_the_model(start: Start, make: Make) -> None:
    server, tools = await start("openai_stub"), await start("mcp_stub", "")
    made = make(model(server, mcpServers=[{"name": "orders", "url": f"{tools.url}/mcp"}]))
    calls = {
        'orders_none {"number": 1}': None,
        'orders_status {"number": "many"}': ('{"number":"many"}', "valid integer"),
        'orders_status {"number"': ('{"number"', "Invalid JSON"),
    }
    for call, kept in calls.items():
        answer = await made.answer(turn(f"use {call}"))
        assert answer.text.startswith("the tool said ")
        assert answer.usage.requests == 2
        tools_called = [step for step in answer.steps if step.kind == "ToolCall"]
        if kept is None:
            assert tools_called == []
            assert "calls orders_none" in (answer.steps[0].result or "")
        else:
            (step,) = tools_called
            assert (step.name, step.arguments) == ("orders_status", kept[0])
            assert kept[1] in (step.error or "")


async def test_a_server_that_dies_in_a_call_makes_the_turn_one_to_try_again(start: Start, make: Make) -> None:
    server, tools = await start("openai_stub"), await start("mcp_stub", "dies")
    made = make(model(server, mcpServers=[{"name": "orders", "url": f"{tools.url}/mcp"}]))
    with pytest.raises(EngineUnavailable):
        await made.answer(turn("use orders_die {}", timeout_seconds=20))


async def test_a_rotated_key_is_used_without_a_restart(start: Start, make: Make, secrets: Secrets) -> None:
    server = await start("openai_stub")
    secrets("engine/api-key", "first-key-0001")
    made = make(model(server))
    await made.answer(turn("a"))
    secrets("engine/api-key", "second-key-00002")
    await made.answer(turn("b"))
    used = [asked["headers"]["authorization"] for asked in await server.requests()]
    assert used == ["Bearer first-key-0001", "Bearer second-key-00002"]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_the_provider_s_rate_limit_names_when_to_come_back_and_is_not_retried_here(
    start: Start, make: Make, provider: str
) -> None:
    server = await start(f"{provider}_stub")
    await server.plan({"status": 429, "headers": {"Retry-After": "7"}, "body": {"error": {"message": "slow down"}}})
    with pytest.raises(EngineUnavailable) as unavailable:
        await make(model(server, provider)).answer(turn("a"))
    assert (unavailable.value.kind, unavailable.value.retry_after) == ("RateLimited", 7.0)
    assert "slow down" in str(unavailable.value)
    assert len(await server.requests()) == 1
    assert [step.kind for step in unavailable.value.steps] == ["ModelRequest"]
    assert unavailable.value.model == f"{provider}:stub"


@pytest.mark.parametrize(
    ("status", "body", "error", "kind"),
    [
        (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, EngineMisconfigured, "ModelUnauthorized"),
        (404, {"error": {"message": "no such model"}}, EngineMisconfigured, "ModelNotFound"),
        (400, {"error": {"message": f"bad request, key {KEY}"}}, EngineRefused, "ModelRefused"),
        (500, {"error": {"message": "oops"}}, EngineUnavailable, "ModelServerError"),
        (503, "not even JSON", EngineUnavailable, "ModelUnavailable"),
        (200, "not even JSON", EngineUnavailable, "ModelUnavailable"),
    ],
)
async def test_failures_say_who_must_act_and_no_secret(
    start: Start, make: Make, status: int, body: object, error: type[Exception], kind: str
) -> None:
    server = await start("openai_stub")
    await server.plan({"status": status, "body": body})
    with pytest.raises(error) as raised:
        await make(model(server)).answer(turn("a"))
    assert raised.value.kind == kind  # type: ignore[attr-defined]
    assert KEY not in str(raised.value)
    assert KEY not in str([step.manifest() for step in raised.value.steps])  # type: ignore[attr-defined]


async def test_a_provider_that_is_not_there_is_unavailable(make: Make) -> None:
    with pytest.raises(EngineUnavailable) as raised:
        await make(model(Server("http://127.0.0.1:1"))).answer(turn("a"))
    assert raised.value.kind == "ModelUnreachable"


async def test_an_mcp_server_that_is_not_there_or_refuses_is_named(start: Start, make: Make) -> None:
    server, tools = await start("openai_stub"), await start("mcp_stub", "the-key")
    for url in ("http://127.0.0.1:1/mcp", f"{tools.url}/mcp"):
        spec = model(server, mcpServers=[{"name": "orders", "url": url}])
        with pytest.raises(EngineUnavailable) as raised:
            await make(spec).answer(turn("a"))
        assert raised.value.kind == "McpServerUnavailable"
        assert str(raised.value).startswith(f"spec.template.engine.model.mcpServers[0] (orders): {url} cannot be used:")
    assert await server.requests() == []


async def test_a_turn_ends_at_its_time_limit_with_the_steps_it_came_to(start: Start, make: Make) -> None:
    server = await start("openai_stub")
    await server.plan({"hang": True})
    with pytest.raises(EngineUnavailable) as raised:
        await make(model(server)).answer(turn("a", timeout_seconds=0.5))
    assert raised.value.kind == "Timeout"
    assert [step.error for step in raised.value.steps] == ["broken off before it answered"]


async def test_a_turn_can_be_cancelled(start: Start, make: Make) -> None:
    server = await start("openai_stub")
    await server.plan({"hang": True})
    made = make(model(server))
    task = asyncio.create_task(made.answer(turn("a")))
    while not await server.requests():
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await made.answer(turn("b"))).text.startswith("heard 'b'")


async def test_a_turn_spends_no_more_than_its_limits(start: Start, make: Make) -> None:
    server, tools = await start("openai_stub"), await start("mcp_stub", "")
    spec = model(server, mcpServers=[{"name": "orders", "url": f"{tools.url}/mcp"}], limits={"requests": 1})
    with pytest.raises(EngineRefused) as raised:
        await make(spec).answer(turn('use orders_status {"number": 1}'))
    assert raised.value.kind == "UsageLimitExceeded"
    assert "spec.template.engine.model.limits" in str(raised.value)
    assert raised.value.usage is not None
    assert (raised.value.usage.requests, raised.value.usage.tool_calls) == (1, 1)


async def test_pictures_are_shown_and_what_cannot_be_is_named(start: Start, make: Make) -> None:
    server = await start("openai_stub")
    media = [Media("image/png", "https://x/1", b"\x89PNG"), Media("video/mp4", "https://x/2", None)]
    await make(model(server)).answer(turn(messages=[Said(by_contact=True, text="look", time=NOW, media=media)]))
    (asked,) = await server.requests()
    content = asked["json"]["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "text"]
    assert content[1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="
    assert content[2]["text"] == "[attachment: video/mp4, not shown]"


async def test_nothing_that_is_logged_holds_the_key(start: Start, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    server = await start("openai_stub")
    caplog.set_level(logging.DEBUG)
    await make(model(server)).answer(turn("hello"))
    assert caplog.records, "the libraries log at DEBUG; if they no longer do, this test shows nothing"
    assert KEY not in caplog.text
