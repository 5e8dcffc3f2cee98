"""The router's HTTP side: requests in, streamed to a ready pod and back."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from kubesandbox.client import Client
from kubesandbox.node.router.directory import Directory
from kubesandbox.node.router.table import Backend

log = logging.getLogger(__name__)

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade",
}  # fmt: skip
CHUNK = 1 << 16


class Router:
    """Listens on one port. `async with` is the caller's: `start`, then `close`."""

    def __init__(self, client: Client) -> None:
        self._directory = Directory(client)
        self._session: aiohttp.ClientSession | None = None
        self._task: asyncio.Task[None] | None = None
        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5, auto_decompress=False
        )
        self.port = 0

    async def start(self, address: str, port: int) -> None:
        """Listen; return when Services, Ingresses and endpoints are known."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._task = asyncio.create_task(self._directory.run())
        await self._directory.synced()
        await self._runner.setup()
        await web.TCPSite(self._runner, address, port).start()
        self.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        await self._runner.cleanup()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._session is not None:
            await self._session.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        backend = self._directory.backend(host, request.path)
        if backend is None:
            return _text(404, f"kubesandbox router: no Ingress rule for {host or 'no host'}{request.path}")
        if request.headers.get("Upgrade"):
            return _text(501, "kubesandbox router: connection upgrades are not supported")
        if self._directory.service(backend) is None:
            return _text(503, f"kubesandbox router: there is no Service {backend.namespace}/{backend.service}")
        endpoints = self._directory.endpoints(backend)
        if not endpoints:
            where = f"{backend.namespace}/{backend.service} port {backend.port}"
            return _text(503, f"kubesandbox router: Service {where} has no ready endpoint")
        return await self._forward(request, backend, endpoints)

    async def _forward(
        self, request: web.Request, backend: Backend, endpoints: list[tuple[str, int]]
    ) -> web.StreamResponse:
        """To the first endpoint that takes the connection: until then nothing was sent, so another may be tried."""
        if self._session is None:
            raise RuntimeError("the router is closed")
        headers = _forwarded(request)
        for address, port in endpoints:
            url = f"http://{address}:{port}{request.rel_url.raw_path_qs}"
            try:
                upstream = await self._session.request(
                    request.method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=_body(request) if request.can_read_body else None,
                    allow_redirects=False,
                    skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                )
            except aiohttp.ClientConnectorError:
                continue
            except aiohttp.ClientError as error:
                text = f"{backend.namespace}/{backend.service} at {address}:{port} broke off: {type(error).__name__}"
                return _text(502, f"kubesandbox router: {text}")
            async with upstream:
                return await _answer(request, upstream)
        where = f"{backend.namespace}/{backend.service} port {backend.port}"
        return _text(503, f"kubesandbox router: no endpoint of Service {where} takes connections")


async def _answer(request: web.Request, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = CIMultiDict((name, value) for name, value in upstream.headers.items() if name.lower() not in HOP_BY_HOP)
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
    await response.prepare(request)
    async for chunk in upstream.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_chunked(CHUNK):
        yield chunk


def _forwarded(request: web.Request) -> CIMultiDict[str]:
    """The request's headers, Host included, and where it came from. What a client says of that itself is dropped."""
    headers = CIMultiDict((name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP)
    peer = request.remote or ""
    headers["X-Forwarded-For"] = peer
    headers["X-Real-IP"] = peer
    headers["X-Forwarded-Proto"] = request.scheme
    headers["X-Forwarded-Host"] = request.headers.get("Host", "")
    headers["X-Forwarded-Port"] = request.headers.get("Host", "").rpartition(":")[2] or "80"
    return headers


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")
