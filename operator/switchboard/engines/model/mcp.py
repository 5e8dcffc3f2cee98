"""MCP servers as tools: streamable HTTP, headers from Secrets, names with the server's as prefix."""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic_ai import exceptions as ai
from pydantic_ai.toolsets import PrefixedToolset, WrapperToolset

from switchboard.api.engine import McpServer
from switchboard.api.runtime import SecretFiles
from switchboard.engines.base import EngineError, EngineMisconfigured, EngineUnavailable, TurnInput
from switchboard.engines.model.providers import DISTRIBUTION, FIELD
from switchboard.engines.secrets import HeaderFiles
from switchboard.engines.texts import Redactor, shown

if TYPE_CHECKING:
    from pydantic_ai import RunContext
    from pydantic_ai.mcp import CallToolFunc, ToolResult
    from pydantic_ai.toolsets import AbstractToolset, ToolsetTool

CONNECT_SECONDS = 10.0
"""Until a server must have answered the first request."""
READ_SECONDS = 300.0
"""Longer than any turn: the turn's own time limit comes first."""
META = "switchboard.dev/"
"""Prefix of our keys in `_meta` of each call, which no model can forge."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server and where its headers are."""

    spec: McpServer
    field: str
    headers: HeaderFiles | None

    @property
    def prefix(self) -> str:
        """What its tools' names begin with."""
        return f"{self.spec.name}_"

    def read_headers(self) -> dict[str, str]:
        """Its headers.

        Raises:
            EngineMisconfigured: they cannot be had.
        """
        return {} if self.headers is None else self.headers.read()


def servers(specs: Sequence[McpServer], secrets: Path) -> list[Server]:
    """The servers of an engine.

    Raises:
        EngineMisconfigured: the library is not installed.
    """
    found: list[Server] = []
    for index, spec in enumerate(specs):
        field = f"{FIELD}.mcpServers[{index}]"
        headers = None
        if spec.headers_secret_ref is not None:
            headers = HeaderFiles(secrets / SecretFiles.mcp_headers(spec.name), f"{field}.headersSecretRef")
        found.append(Server(spec, field, headers))
    if found:
        try:
            import pydantic_ai.mcp  # noqa: F401
        except ImportError:
            raise EngineMisconfigured(
                "McpNotInstalled",
                f"{FIELD}.mcpServers: the MCP library is not in this image; install {DISTRIBUTION}[models]",
            ) from None
    return found


@asynccontextmanager
async def toolsets(found: Sequence[Server], redactor: Redactor) -> AsyncIterator[list[AbstractToolset[TurnInput]]]:
    """Toolsets for one run. Each run has its own session, so that a restarted server costs one turn at most.

    Raises:
        EngineMisconfigured: a server's headers cannot be had.
    """
    if not found:
        yield []
        return
    from httpx2 import AsyncClient, Timeout
    from pydantic_ai.mcp import MCPToolset

    async with AsyncExitStack() as stack:
        made: list[AbstractToolset[TurnInput]] = []
        for server in found:
            # Redirects are not followed: they would carry the headers to wherever the server says.
            client = AsyncClient(
                headers=server.read_headers(),
                follow_redirects=False,
                verify=_tls(),
                timeout=Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            )
            await stack.enter_async_context(client)
            toolset = MCPToolset[TurnInput](
                server.spec.url,
                id=server.spec.name,
                http_client=client,
                init_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                tool_error_behavior="failed",
                process_tool_call=_call,
            )
            made.append(PrefixedToolset(_Named(toolset, server, redactor), prefix=server.spec.name))
        yield made


@functools.cache
def _tls() -> ssl.SSLContext:
    """Trust in the usual authorities. Reading them takes some 20 ms, too long for each turn."""
    return ssl.create_default_context()


async def _call(ctx: RunContext[TurnInput], call_tool: CallToolFunc, name: str, args: dict[str, Any]) -> ToolResult:
    """Tells the tool for whom it is called: the execution is the idempotency key of what it does."""
    turn = ctx.deps
    meta = {
        "execution": turn.execution,
        "conversation": turn.conversation,
        "agent": turn.agent,
        "connector": turn.connector,
        "channel": turn.channel,
        "contact": turn.contact,
    }
    return await call_tool(name, args, metadata={META + key: value for key, value in meta.items()})


@dataclass
class _Named(WrapperToolset[TurnInput]):
    """Says which server failed."""

    server: Server
    redactor: Redactor

    async def __aenter__(self) -> Self:
        try:
            await super().__aenter__()
        except EngineError:
            raise
        except Exception as error:
            raise self._unavailable(error) from error
        return self

    async def get_tools(self, ctx: RunContext[TurnInput]) -> dict[str, Any]:
        try:
            return await super().get_tools(ctx)
        except Exception as error:
            raise self._unavailable(error) from error

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[TurnInput], tool: ToolsetTool[TurnInput]
    ) -> Any:
        try:
            return await super().call_tool(name, tool_args, ctx, tool)
        except (ai.ModelRetry, ai.ToolFailed, ai.AgentRunError):
            raise  # What the model is told: the tool's own refusal, or arguments that it did not take.
        except Exception as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: BaseException) -> EngineUnavailable:
        leaf = error
        while isinstance(leaf, BaseExceptionGroup):
            leaf = leaf.exceptions[0]
        words = self.redactor.clean(str(leaf), 300) or type(leaf).__name__
        return EngineUnavailable(
            "McpServerUnavailable",
            f"{self.server.field} ({self.server.spec.name}): {shown(self.server.spec.url)} cannot be used: {words}",
        )
