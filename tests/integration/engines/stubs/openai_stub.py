"""Speaks OpenAI's protocol: Chat Completions and Responses, as a whole or streamed.

It calls a tool when the user's last words are "use <tool> <arguments>"; otherwise it says what it heard and after how
many messages, so that a test sees what arrived.
"""

from __future__ import annotations

import asyncio
import json

from aiohttp import web
from serving import Record, application, planned_response, serve

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
USAGE_RESPONSES = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 18,
}


def words(content: object) -> str:
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content or [] if isinstance(part, dict))  # type: ignore[attr-defined]


def answer(asked: dict[str, object]) -> tuple[str, dict[str, object] | None]:
    """A text, or the call of a tool."""
    messages = asked["messages"]
    assert isinstance(messages, list)
    last = messages[-1]
    tools = asked.get("tools") or []
    assert isinstance(tools, list)
    said = words(last.get("content"))
    if last["role"] == "user" and said.startswith("use ") and tools:
        name, _, arguments = said.removeprefix("use ").partition(" ")
        return "", {"name": name, "arguments": arguments}
    if last["role"] == "tool":
        return f"the tool said {said}", None
    return f"heard {said!r} after {len(messages) - 1} messages", None


async def chat(request: web.Request) -> web.StreamResponse:
    record: Record = request.app[RECORD]
    planned = await record.next(request)
    if planned is not None:
        if planned.get("hang"):
            await asyncio.Event().wait()
        return planned_response(planned)
    asked = await request.json()
    text, call = answer(asked)
    base = {"id": "chatcmpl-1", "created": 1, "model": "stub-model-1"}
    message: dict[str, object] = {"role": "assistant", "content": text or None}
    finish = "stop"
    if call is not None:
        finish = "tool_calls"
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": call}]
    if not asked.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return web.json_response(base | {"object": "chat.completion", "choices": [choice], "usage": USAGE})
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)

    async def send(delta: dict[str, object], finish: str | None = None, **more: object) -> None:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        event = base | {"object": "chat.completion.chunk", "choices": choices} | more
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    await send({"role": "assistant", "content": ""})
    if call is not None:
        await send({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": call}]})
    for word in text.split(" "):
        await send({"content": word + " "})
    await send({}, finish)
    await response.write(
        b"data: "
        + json.dumps(base | {"object": "chat.completion.chunk", "choices": [], "usage": USAGE}).encode()
        + b"\n\n"
    )
    await response.write(b"data: [DONE]\n\n")
    return response


async def responses(request: web.Request) -> web.Response:
    record: Record = request.app[RECORD]
    planned = await record.next(request)
    if planned is not None:
        return planned_response(planned)
    asked = await request.json()
    last = asked["input"][-1]
    text = f"responses heard {words(last.get('content'))!r}"
    item = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    return web.json_response(
        {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "completed",
            "model": "stub-model-1",
            "output": [item],
            "usage": USAGE_RESPONSES,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
    )


RECORD = web.AppKey("record", Record)

if __name__ == "__main__":
    app, record = application()
    app[RECORD] = record
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/v1/responses", responses)
    serve(app)
