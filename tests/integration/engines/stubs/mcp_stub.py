"""An MCP server over streamable HTTP, made with the protocol's own library; a key in a header opens it."""

from __future__ import annotations

import os
import socket
import sys

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from starlette.types import ASGIApp, Receive, Scope, Send

server = MCPServer("orders", log_level="CRITICAL")


@server.tool()
async def status(number: int, ctx: Context) -> str:  # type: ignore[type-arg]
    """The status of an order."""
    meta = ctx.request_context.meta or {}
    execution = dict(meta).get("switchboard.dev/execution")
    return f"order {number} is on its way [{execution}]"


@server.tool()
async def fail(number: int) -> str:
    """Fails."""
    raise ToolError(f"order {number} is lost")


@server.tool()
async def die() -> str:
    """Ends the server in the middle of a call."""
    os._exit(1)


class Locked:
    """Lets in who knows the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and dict(scope["headers"]).get(b"x-key", b"").decode() != self.key:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b"no"})
            return
        await self.app(scope, receive, send)


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    app = Locked(server.streamable_http_app(), sys.argv[1])
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
