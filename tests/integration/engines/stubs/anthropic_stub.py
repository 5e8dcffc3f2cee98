"""Speaks Anthropic's protocol, the Messages API, as a whole or streamed. It answers as `openai_stub` does."""

from __future__ import annotations

import json

from aiohttp import web
from serving import Record, application, planned_response, serve

RECORD = web.AppKey("record", Record)


def words(content: object) -> str:
    if isinstance(content, str):
        return content
    assert isinstance(content, list)
    return " ".join(words(block["content"]) if block["type"] == "tool_result" else block["text"] for block in content)


def blocks(asked: dict[str, object]) -> list[dict[str, object]]:
    messages = asked["messages"]
    assert isinstance(messages, list)
    last = messages[-1]
    assert messages[0]["role"] == "user", "Anthropic wants the user's words first"
    tools = asked.get("tools") or []
    assert isinstance(tools, list)
    said = words(last["content"])
    if said.startswith("use ") and tools:
        name, _, arguments = said.removeprefix("use ").partition(" ")
        return [{"type": "tool_use", "id": "toolu_1", "name": name, "input": json.loads(arguments)}]
    if isinstance(last["content"], list) and last["content"][0]["type"] == "tool_result":
        return [{"type": "text", "text": f"the tool said {said}"}]
    return [{"type": "text", "text": f"heard {said!r} after {len(messages) - 1} messages"}]


async def messages(request: web.Request) -> web.StreamResponse:
    record = request.app[RECORD]
    planned = await record.next(request)
    if planned is not None:
        return planned_response(planned)
    asked = await request.json()
    content = blocks(asked)
    stop = "tool_use" if content[0]["type"] == "tool_use" else "end_turn"
    base: dict[str, object] = {"id": "msg_1", "type": "message", "role": "assistant", "model": "stub-claude-1"}
    usage = {"input_tokens": 13, "output_tokens": 5}
    if not asked.get("stream"):
        whole = base | {"content": content, "stop_reason": stop, "stop_sequence": None, "usage": usage}
        return web.json_response(whole)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)

    async def send(kind: str, **event: object) -> None:
        data = json.dumps({"type": kind, **event})
        await response.write(f"event: {kind}\ndata: {data}\n\n".encode())

    await send(
        "message_start",
        message=base
        | {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 13, "output_tokens": 1},
        },
    )
    for index, block in enumerate(content):
        if block["type"] == "tool_use":
            await send("content_block_start", index=index, content_block=block | {"input": {}})
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            await send("content_block_delta", index=index, delta=delta)
        else:
            await send("content_block_start", index=index, content_block={"type": "text", "text": ""})
            for word in str(block["text"]).split(" "):
                await send("content_block_delta", index=index, delta={"type": "text_delta", "text": word + " "})
        await send("content_block_stop", index=index)
    await send("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": 5})
    await send("message_stop")
    return response


if __name__ == "__main__":
    app, record = application()
    app[RECORD] = record
    app.router.add_post("/v1/messages", messages)
    serve(app)
