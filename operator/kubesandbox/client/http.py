"""Requests to the API server: one method a verb, errors as exceptions, watches as streams of events."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import aiohttp

from kubesandbox.client.config import Config
from kubesandbox.client.resources import Object, Resource

log = logging.getLogger(__name__)

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
LIST_PAGE = 500
GOODBYE_SECONDS = 0.1
"""What TLS connections need to close after the session; aiohttp does not wait for them (docs, Graceful Shutdown)."""
TOO_MANY_REQUESTS_RETRIES = 8


class ApiError(Exception):
    """The server's Status: its code, reason and message."""

    def __init__(self, code: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    @property
    def not_found(self) -> bool:
        return self.code == 404

    @property
    def already_exists(self) -> bool:
        return self.code == 409 and self.reason == "AlreadyExists"

    @property
    def conflict(self) -> bool:
        return self.code == 409 and self.reason != "AlreadyExists"

    @property
    def expired(self) -> bool:
        """The resourceVersion is too old: list again."""
        return self.code == 410


class Client:
    """A connection to one API server. Use it with `async with`."""

    def __init__(self, config: Config, *, user_agent: str = "kubesandbox") -> None:
        self.config = config
        self._ssl = config.ssl_context()
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._ssl if self._ssl is not None else True)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": self._user_agent, "Accept": "application/json"},
            timeout=aiohttp.ClientTimeout(total=60),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
            if self.config.server.startswith("https:"):
                await asyncio.sleep(GOODBYE_SECONDS)

    async def get(self, resource: Resource, namespace: str, name: str, *, subresource: str = "") -> Object:
        return await self.request("GET", resource.path(namespace, name, subresource))

    async def list(
        self, resource: Resource, namespace: str = "", *, selectors: Mapping[str, str] | None = None
    ) -> tuple[list[Object], str]:
        """All objects, read in pages, and the list's resourceVersion. Items carry apiVersion and kind."""
        items: list[Object] = []
        params = {"limit": str(LIST_PAGE), **(selectors or {})}
        while True:
            page = await self.request("GET", resource.path(namespace), params=params)
            for item in page.get("items") or ():
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
                items.append(item)
            metadata = page["metadata"]
            if not metadata.get("continue"):
                return items, str(metadata["resourceVersion"])
            params["continue"] = metadata["continue"]

    async def create(self, resource: Resource, obj: Object, *, subresource: str = "", name: str = "") -> Object:
        namespace = str(obj["metadata"].get("namespace", ""))
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        return await self.request("POST", resource.path(namespace, name, subresource), body=body)

    async def update(self, resource: Resource, obj: Object, *, subresource: str = "") -> Object:
        metadata = obj["metadata"]
        path = resource.path(metadata.get("namespace", ""), metadata["name"], subresource)
        return await self.request("PUT", path, body=obj)

    async def patch(
        self, resource: Resource, namespace: str, name: str, patch: Object, *, subresource: str = ""
    ) -> Object:
        """A JSON merge patch: maps merge, lists and scalars replace, null removes."""
        path = resource.path(namespace, name, subresource)
        return await self.request("PATCH", path, body=patch, content_type=MERGE_PATCH)

    async def apply(self, resource: Resource, obj: Object, *, manager: str, force: bool = True) -> Object:
        """Server-side apply under the field manager `manager`."""
        metadata = obj["metadata"]
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        path = resource.path(metadata.get("namespace", ""), metadata["name"])
        return await self.request("PATCH", path, params=params, body=body, content_type=APPLY_PATCH)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        grace_seconds: int | None = None,
        propagation: str | None = None,
    ) -> Object:
        """Delete the object; with `uid` only that very one (409 otherwise)."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        if propagation is not None:
            options["propagationPolicy"] = propagation
        return await self.request("DELETE", resource.path(namespace, name), body=options)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """Send one request and give the answer's object. 429 is waited out, because the server did nothing then.

        Raises ApiError for a Status, aiohttp.ClientError and TimeoutError when there was no answer.
        """
        for attempt in range(TOO_MANY_REQUESTS_RETRIES + 1):
            try:
                return await self._send(method, path, params, body, content_type)
            except ApiError as error:
                if error.code != 429 or attempt == TOO_MANY_REQUESTS_RETRIES:
                    raise
                await asyncio.sleep(error.retry_after if error.retry_after is not None else 1)
        raise AssertionError("unreachable")

    async def watch(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        resource_version: str,
        selectors: Mapping[str, str] | None = None,
        timeout_seconds: int = 300,
    ) -> AsyncIterator[tuple[str, Object]]:
        """(type, object) for each event after `resource_version`, bookmarks included, until the server ends it.

        Raises ApiError(410) when the version is too old, whether the server says so at once or as an ERROR event.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
            **(selectors or {}),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=timeout_seconds + 30)
        session, headers = self._ready()
        url, tls_name = self.config.server + resource.path(namespace), self.config.tls_server_name
        async with session.get(
            url, params=params, headers=headers, timeout=timeout, server_hostname=tls_name
        ) as response:
            if response.status >= 400:
                raise _error(response, await response.read())
            async for line in _lines(response.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiError(status.get("code", 500), status.get("reason", ""), status.get("message", ""))
                yield event["type"], event["object"]

    def open(
        self, path: str, *, params: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """GET of what is no object, for the caller to read as it comes: a log. No status is an error here."""
        session, headers = self._ready()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
        url, tls_name = self.config.server + path, self.config.tls_server_name
        return session.get(url, params=params, headers=headers, timeout=timeout, server_hostname=tls_name)

    async def _send(
        self, method: str, path: str, params: Mapping[str, str] | None, body: Object | None, content_type: str
    ) -> Object:
        session, headers = self._ready()
        data = None
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = content_type
        url = self.config.server + path
        tls_name = self.config.tls_server_name
        async with session.request(
            method, url, params=params, data=data, headers=headers, server_hostname=tls_name
        ) as response:
            raw = await response.read()
            if response.status >= 400:
                raise _error(response, raw)
            answer: Object = json.loads(raw)
            return answer

    def _ready(self) -> tuple[aiohttp.ClientSession, dict[str, str]]:
        if self._session is None:
            raise RuntimeError("the client is closed: use it inside `async with`")
        token = self.config.bearer_token()
        return self._session, {"Authorization": f"Bearer {token}"} if token else {}


def _error(response: aiohttp.ClientResponse, raw: bytes) -> ApiError:
    retry_after: float | None
    try:
        retry_after = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        retry_after = None
    try:
        status: Any = json.loads(raw)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        text = raw.decode(errors="replace").strip()[:500]
        return ApiError(response.status, response.reason or "", text or f"HTTP {response.status}", retry_after)
    message = str(status.get("message", ""))
    return ApiError(response.status, str(status.get("reason", "")), message, retry_after)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The stream's lines, of any length: one object may well be larger than the reader's own line limit."""
    rest = bytearray()
    async for chunk in stream.iter_any():
        rest += chunk
        if b"\n" not in chunk:
            continue
        *complete, last = rest.split(b"\n")
        rest = bytearray(last)
        for line in complete:
            if line.strip():
                yield bytes(line)
