"""An A2A agent of protocol 0.3 (argument `0.3`) or 1.0 (`1.0`); what it does with a text is the text's first word."""

from __future__ import annotations

import sys

from aiohttp import web
from serving import Record, application, planned_response, serve

RECORD = web.AppKey("record", Record)
NEW = sys.argv[1] == "1.0"
TASKS: dict[str, dict[str, object]] = {}
POLLS: dict[str, int] = {}


def part(text: str) -> dict[str, object]:
    return {"text": text} if NEW else {"kind": "text", "text": text}


def state(name: str) -> str:
    return "TASK_STATE_" + name.upper().replace("-", "_") if NEW else name


def message(text: str, context: str) -> dict[str, object]:
    body: dict[str, object] = {"messageId": "m1", "role": "ROLE_AGENT" if NEW else "agent", "parts": [part(text)]}
    return body | {"contextId": context} | ({} if NEW else {"kind": "message"})


def task(identifier: str, context: str, name: str, text: str, *, artifact: bool = False) -> dict[str, object]:
    status: dict[str, object] = {"state": state(name)}
    made: dict[str, object] = {"id": identifier, "contextId": context, "status": status}
    if artifact:
        made["artifacts"] = [{"artifactId": "a1", "parts": [part(text)]}]
    elif text:
        status["message"] = message(text, context)
    return made if NEW else made | {"kind": "task"}


def send(params: dict[str, object]) -> dict[str, object]:
    said = params["message"]
    assert isinstance(said, dict)
    text = "".join(str(one.get("text", "")) for one in said["parts"])
    context = str(said.get("contextId"))
    word, _, rest = text.partition(" ")
    identifier = f"task-{said['messageId']}"
    if said.get("taskId"):
        if said["taskId"] == "task-gone":
            raise LookupError
        return wrap(
            task(str(said["taskId"]), context, "completed", f"{said['taskId']} continues: {text}", artifact=True)
        )
    if word == "slow":
        TASKS[identifier] = task(identifier, context, "completed", f"done {rest}", artifact=True)
        POLLS[identifier] = int(rest or 2)
        return wrap(task(identifier, context, "working", ""))
    if word in ("failed", "rejected", "canceled", "auth-required", "input-required"):
        return wrap(task(identifier, context, word, rest))
    if word == "own":
        return reply(message("with my own context", "agents-own-context"))
    if word == "task":
        return wrap(task(identifier, context, "completed", f"made {rest}", artifact=True))
    files = [one for one in said["parts"] if "file" in one or "raw" in one]
    return reply(message(f"heard {text} in {context}" + (f" and {len(files)} files" if files else ""), context))


def wrap(made: dict[str, object]) -> dict[str, object]:
    return {"task": made} if NEW else made


def reply(made: dict[str, object]) -> dict[str, object]:
    return {"message": made} if NEW else made


async def rpc(request: web.Request) -> web.Response:
    planned = await request.app[RECORD].next(request)
    if planned is not None:
        return planned_response(planned)
    asked = await request.json()
    try:
        if asked["method"] == ("SendMessage" if NEW else "message/send"):
            result = send(asked["params"])
        elif asked["method"] == ("GetTask" if NEW else "tasks/get"):
            identifier = asked["params"]["id"]
            POLLS[identifier] -= 1
            context = str(TASKS[identifier]["contextId"])
            result = TASKS[identifier] if POLLS[identifier] <= 0 else task(identifier, context, "working", "")
        else:
            error = {"code": -32601, "message": "Method not found"}
            return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "error": error})
    except LookupError:
        return web.json_response(
            {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32001, "message": "Task not found"}}
        )
    return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": result})


async def card(request: web.Request) -> web.Response:
    own = f"http://{request.host}/a2a/support"
    common = {"name": "stub", "description": "", "version": "1", "capabilities": {}, "skills": []}
    common |= {"defaultInputModes": ["text/plain", "image/*"], "defaultOutputModes": ["text/plain"]}
    if request.path.startswith("/elsewhere"):
        # An address that only the agent knows, as kagent advertises behind its controller.
        return web.json_response(common | {"protocolVersion": "0.3.0", "url": "http://127.0.0.1:1/nowhere"})
    if request.path.startswith("/grpc"):
        interfaces = [{"url": own, "protocolBinding": "GRPC", "protocolVersion": "1.0"}]
        return web.json_response(common | {"supportedInterfaces": interfaces})
    if not NEW:
        return web.json_response(common | {"protocolVersion": "0.3.0", "url": own, "preferredTransport": "JSONRPC"})
    interfaces = [
        {"url": own + "/old", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"},
        {"url": own, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
    ]
    return web.json_response(common | {"supportedInterfaces": interfaces})


if __name__ == "__main__":
    app, record = application()
    app[RECORD] = record
    for base in ("/a2a/support", "/elsewhere", "/grpc"):
        app.router.add_get(base + "/.well-known/agent-card.json", card)
        app.router.add_post(base, rpc)
    serve(app)
