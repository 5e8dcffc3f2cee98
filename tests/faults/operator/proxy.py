"""A proxy before the API server and Twilio that spoils one request, chosen by its number among a tenant's."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp
import yaml
from aiohttp import web

from kubesandbox.client import Config

Kind = Literal["conflict", "throttled", "failed", "slow", "dropped", "lost"]
KINDS: tuple[Kind, ...] = ("conflict", "throttled", "failed", "slow", "dropped", "lost")
"""lost: it is done, and the answer never comes."""


FORWARDED = ("Content-Type", "Content-Encoding", "Retry-After")


@dataclass
class Spoil:
    """Which request of a tenant is spoiled, and how."""

    tenant: str
    """What its paths contain: a namespace or an account."""
    at: int = -1
    kind: Kind = "failed"
    writes_only: bool = False
    deletes_only: bool = False
    seen: list[str] = field(default_factory=list)
    struck: str = ""
    then: Callable[[], Awaitable[None]] | None = None
    """Called once the request was done and before it is answered."""


@dataclass
class Proxy:
    """Forwards everything to `target`."""

    target: str
    url: str = ""
    spoils: list[Spoil] = field(default_factory=list)
    log: list[tuple[str, str, bool, int]] = field(default_factory=list)
    """Every request that was forwarded: method, path, whether it is a watch, status."""
    refused: frozenset[str] = frozenset()
    """Paths that are answered 415."""
    _session: aiohttp.ClientSession | None = None
    _tls: ssl.SSLContext | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.path in self.refused:
            status = {"kind": "Status", "status": "Failure", "code": 415, "reason": "UnsupportedMediaType"}
            return web.json_response(status, status=415)
        watch = request.query.get("watch") in ("true", "1")
        spoil = None if watch else self._chosen(request)
        if spoil is not None and spoil.kind != "lost":
            return await self._spoiled(request, spoil.kind)
        return await self._forward(request, body, spoil)

    def _chosen(self, request: web.Request) -> Spoil | None:
        for spoil in self.spoils:
            if f"/{spoil.tenant}" not in request.path or (spoil.writes_only and request.method == "GET"):
                continue
            if spoil.deletes_only and request.method != "DELETE":
                continue
            spoil.seen.append(f"{request.method} {request.path}")
            if len(spoil.seen) - 1 == spoil.at and not spoil.struck:
                spoil.struck = spoil.seen[-1]
                return spoil
        return None

    async def _spoiled(self, request: web.Request, kind: Kind) -> web.StreamResponse:
        codes = {"conflict": (409, "Conflict"), "throttled": (429, "TooManyRequests"), "failed": (500, "InternalError")}
        if kind in codes:
            code, reason = codes[kind]
            status = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "spoiled"}
            headers = {"Retry-After": "0"} if code == 429 else {}
            return web.json_response(status, status=code, headers=headers)
        if kind == "slow":
            await asyncio.Event().wait()
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _forward(self, request: web.Request, body: bytes, lost: Spoil | None) -> web.StreamResponse:
        assert self._session is not None
        headers = {key: value for key, value in request.headers.items() if key not in ("Host", "Content-Length")}
        url = self.target + request.raw_path
        async with self._session.request(
            request.method,
            aiohttp.client.URL(url, encoded=True),
            data=body or None,
            headers=headers,
            ssl=self._tls or True,
        ) as answer:
            watch = request.query.get("watch") in ("true", "1")
            self.log.append((request.method, request.path, watch, answer.status))
            if lost is not None:
                await answer.read()
                if lost.then is not None:
                    await lost.then()
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            kept = {key: value for key, value in answer.headers.items() if key in FORWARDED}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response


@asynccontextmanager
async def proxy(target: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """A running proxy, which talks to the target with `tls`, and with a client certificate if that holds one."""
    made = Proxy(target.rstrip("/"), _tls=tls)
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True, auto_decompress=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
    ) as session:
        made._session = session
        try:
            yield made
        finally:
            await runner.cleanup()


@asynccontextmanager
async def before(config: Config) -> AsyncIterator[Proxy]:
    """A proxy before the API server of a kubeconfig."""
    async with proxy(config.server, config.ssl_context()) as made:
        yield made


def write_kubeconfig(path: Path, server: str, token: str | None) -> None:
    """A kubeconfig of a proxy. Without a token the proxy's own certificate, if it has one, is what counts."""
    user = {"token": token} if token else {}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "proxy", "user": "user"}}],
        "current-context": "it",
    }
    path.write_text(yaml.safe_dump(document))
