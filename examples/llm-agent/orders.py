# /// script
# requires-python = ">=3.11"
# dependencies = ["mcp>=2.3,<3"]
# ///
"""The shop's orders as an MCP server: the tools that the agent may use. Replace the table by your database."""

import os
import socket

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

ORDERS = {1234: "in the oven", 1235: "on its way"}
CANCELLED: dict[str, int] = {}

server = MCPServer("orders")


@server.tool()
def status(order: int) -> str:
    """The status of an order, by its number."""
    return ORDERS.get(order, "not known")


@server.tool()
def cancel(order: int, ctx: Context) -> str:
    """Cancels an order, by its number."""
    # A turn may be tried again: its execution says that this is the same call.
    execution = (ctx.request_context.meta or {}).get("switchboard.dev/execution", "")
    if execution not in CANCELLED:
        ORDERS.pop(order, None)
        CANCELLED[execution] = order
    return f"order {CANCELLED[execution]} is cancelled"


class Bearer:
    """Lets in who knows the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and Request(scope).headers.get("authorization") != self.token:
            await PlainTextResponse("who are you?", 401)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


if __name__ == "__main__":
    # The cluster's own names lead here; what a browser could be tricked into is kept out by the token.
    app = server.streamable_http_app(
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False)
    )
    listener = socket.create_server((os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080"))))
    print(f"http://{listener.getsockname()[0]}:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(Bearer(app, os.environ["AUTHORIZATION"]), log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])
