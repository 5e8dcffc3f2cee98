"""A small client of the Kubernetes API: one method a verb, errors as exceptions, every request with a time limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from switchboard.kube import watching
from switchboard.kube.access import Access, discover
from switchboard.kube.errors import TooManyRequests, Unavailable, from_status
from switchboard.kube.resources import Object, ResourceType
from switchboard.kube.watching import Changed, Synced
from switchboard.kube.wire import Sender, Wire

REQUEST_SECONDS = 30.0
THROTTLED_TRIES = 3
THROTTLED_SECONDS = 2.0
"""A longer Retry-After is for the caller to wait out."""
_GOODBYE_SECONDS = 0.1
"""TLS connections that a watch let go of say goodbye after the session is closed; aiohttp does not wait for them
(docs.aiohttp.org, Graceful Shutdown)."""

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
# https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-partial-metadata
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

_PLAIN = re.compile(r"[A-Za-z0-9._~/?&=%:@+,;!$'()*-]+")

Observer = Callable[[str, ResourceType, str | None], Awaitable[None]]
"""Called before each request with the verb (as RBAC names it), the type and the subresource."""

__all__ = ["Changed", "KubeApi", "Listing", "Synced", "connect"]


@dataclass(frozen=True, slots=True)
class Listing:
    """A list's items, each with its `apiVersion` and `kind`, and where a watch may go on."""

    items: list[Object]
    resource_version: str


async def connect(
    kubeconfig: Path | None = None,
    *,
    context: str | None = None,
    user_agent: str = "switchboard",
    request_seconds: float = REQUEST_SECONDS,
    connections: int = 100,
) -> KubeApi:
    """A client of the API server that `kubeconfig`, `$KUBECONFIG` or the pod's ServiceAccount names.

    Nothing is asked yet: the server need not be there.

    Raises:
        switchboard.kube.access.AccessError: there is no way to an API server.
    """
    access = await discover(kubeconfig, context)
    return KubeApi(access, user_agent=user_agent, request_seconds=request_seconds, connections=connections)


class KubeApi:
    """An API server. Every method raises `switchboard.kube.errors.KubeError`."""

    def __init__(
        self,
        access: Access,
        *,
        user_agent: str = "switchboard",
        request_seconds: float = REQUEST_SECONDS,
        connections: int = 100,
    ) -> None:
        self.access = access
        self.observer: Observer | None = None
        self._seconds = request_seconds
        self._server = URL(access.server)
        self._prefix = self._server.raw_path.rstrip("/")
        self._sender = _sender(access, {"User-Agent": user_agent}, request_seconds, connections)
        # Watches stay open: among the requests they would take all connections away.
        self._streams = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=access.tls if access.tls is not None else True),
            headers={"User-Agent": user_agent, "Accept": "application/json"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets go of all connections."""
        await self._sender.close()
        await self._streams.close()
        if self.access.tls is not None:
            await asyncio.sleep(_GOODBYE_SECONDS)

    async def get(
        self, resource: ResourceType, name: str, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object:
        """The object. Raises NotFound."""
        return await self._ask("get", resource, "GET", resource.path(namespace, name, subresource), subresource)

    async def list(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        metadata_only: bool = False,
    ) -> Listing:
        """All objects, read in pages of `limit`. Without a namespace: of all. `metadata_only`: nothing else of them."""
        params = {"limit": str(limit), **_selectors(label_selector, field_selector)}
        accept = METADATA_LIST if metadata_only else None
        items: list[Object] = []
        while True:
            page = await self._ask("list", resource, "GET", resource.path(namespace), params=params, accept=accept)
            for item in page.get("items") or ():
                item.setdefault("apiVersion", resource.api_version)
                item.setdefault("kind", resource.kind)
                items.append(item)
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return Listing(items, str(metadata.get("resourceVersion", "")))
            params["continue"] = str(metadata["continue"])

    async def create(self, resource: ResourceType, obj: Object, *, subresource: str | None = None) -> Object:
        """The object as it was made. Raises AlreadyExists, Invalid, Forbidden."""
        metadata = obj.get("metadata", {})
        name = str(metadata["name"]) if subresource else None
        path = resource.path(metadata.get("namespace"), name, subresource)
        return await self._ask("create", resource, "POST", path, subresource, body=_typed(resource, obj))

    async def replace(self, resource: ResourceType, obj: Object, *, subresource: str | None = None) -> Object:
        """Puts the whole object; with a resourceVersion in it, only over that very version (Conflict otherwise)."""
        path = resource.path(obj["metadata"].get("namespace"), obj["metadata"]["name"], subresource)
        return await self._ask("update", resource, "PUT", path, subresource, body=_typed(resource, obj))

    async def apply(
        self, resource: ResourceType, obj: Object, *, manager: str, force: bool = True, subresource: str | None = None
    ) -> Object:
        """Server-side apply: `manager` owns what stands in `obj`; what it no longer says is removed."""
        path = resource.path(obj["metadata"].get("namespace"), obj["metadata"]["name"], subresource)
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        body = _typed(resource, obj)
        return await self._ask(
            "patch", resource, "PATCH", path, subresource, params=params, body=body, content=APPLY_PATCH
        )

    async def merge_patch(
        self,
        resource: ResourceType,
        name: str,
        namespace: str | None,
        patch: Object,
        *,
        subresource: str | None = None,
        manager: str | None = None,
    ) -> Object:
        """JSON merge patch (RFC 7386): maps merge, lists and scalars replace, None removes."""
        params = {"fieldManager": manager} if manager else None
        path = resource.path(namespace, name, subresource)
        return await self._ask(
            "patch", resource, "PATCH", path, subresource, params=params, body=patch, content=MERGE_PATCH
        )

    async def json_patch(
        self,
        resource: ResourceType,
        name: str,
        namespace: str | None,
        operations: Sequence[Object],
        *,
        subresource: str | None = None,
    ) -> Object:
        """JSON patch (RFC 6902). Raises Invalid when a `test` does not hold."""
        path = resource.path(namespace, name, subresource)
        return await self._ask("patch", resource, "PATCH", path, subresource, body=[*operations], content=JSON_PATCH)

    async def delete(
        self,
        resource: ResourceType,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
    ) -> None:
        """Deletes the object; with `uid` or `resource_version` only that very one (Conflict otherwise)."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        wanted = {"uid": uid, "resourceVersion": resource_version}
        if preconditions := {key: value for key, value in wanted.items() if value is not None}:
            options["preconditions"] = preconditions
        await self._ask("delete", resource, "DELETE", resource.path(namespace, name), body=options)

    def watch(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> AsyncGenerator[Synced | Changed]:
        """All objects now and every change from then on: never ends, survives disconnects, lists again after a 410.

        `Synced` replaces all that was known; each `Changed` after it is one object. Close the iterator with `aclose`.
        """
        return watching.watch(self, resource, namespace, label_selector, field_selector, metadata_only=metadata_only)

    async def stream(
        self,
        resource: ResourceType,
        namespace: str | None,
        params: Mapping[str, str],
        idle_seconds: float,
        *,
        metadata_only: bool = False,
    ) -> AsyncIterator[Object]:
        """The events of one watch request, until the server ends it. Raises Gone, Unavailable and the like."""
        if self.observer is not None:
            await self.observer("watch", resource, None)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._seconds, sock_read=idle_seconds)
        try:
            target = self._target(resource.path(namespace), {"watch": "true", **params})
            async with self._streams.get(
                self._server.join(URL(target, encoded=True)),
                headers=await self._headers(METADATA if metadata_only else None),
                timeout=timeout,
                server_hostname=self.access.tls_server_name,
                proxy=self.access.proxy,
            ) as response:
                if response.status >= 400:
                    raise from_status(response.status, await response.read(), response.headers.get("Retry-After"))
                async for line in watching.lines(response.content):
                    event: Object = orjson.loads(line)
                    if event["type"] == "ERROR":
                        status = event.get("object") or {}
                        raise from_status(int(status.get("code") or 500), orjson.dumps(status))
                    yield event
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError) as error:
            raise _no_answer(self.access.server, error) from error

    async def raw(self, path: str) -> Object:
        """GET of any path, for example `/version` or `/apis/GROUP/VERSION`."""
        return await self._request("GET", path)

    async def _ask(
        self,
        verb: str,
        resource: ResourceType,
        method: str,
        path: str,
        subresource: str | None = None,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = "application/json",
        accept: str | None = None,
    ) -> Object:
        if self.observer is not None:
            await self.observer(verb, resource, subresource)
        # 429: the server did nothing, and says when it may be asked again. client-go does so for every verb.
        for _ in range(THROTTLED_TRIES - 1):
            try:
                return await self._request(method, path, params=params, body=body, content=content, accept=accept)
            except TooManyRequests as error:
                if error.retry_after is None or error.retry_after > THROTTLED_SECONDS:
                    raise
                pause = error.retry_after
            await asyncio.sleep(pause)
        return await self._request(method, path, params=params, body=body, content=content, accept=accept)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = "application/json",
        accept: str | None = None,
    ) -> Object:
        headers = await self._headers(accept)
        data = None
        if body is not None:
            data = orjson.dumps(body)
            headers["Content-Type"] = content
        try:
            answer = await self._sender.send(method, self._target(path, params), headers, data)
            if answer.status >= 400:
                raise from_status(answer.status, answer.body, answer.retry_after)
            found: Object = orjson.loads(answer.body)
        except (OSError, ValueError) as error:
            raise _no_answer(self.access.server, error) from error
        return found

    def _target(self, path: str, params: Mapping[str, str] | None = None) -> str:
        """A path below the server's own, and a query. What names hold needs no encoding; what else is said gets it."""
        target = self._prefix + (path if _PLAIN.fullmatch(path) else quote(path, safe="/?&=%:@+,;!$'()*"))
        return target if not params else f"{target}{'&' if '?' in target else '?'}{_query(tuple(params.items()))}"

    async def _headers(self, accept: str | None = None) -> dict[str, str]:
        value = await self.access.authorization.header()
        headers = {"Accept": accept or "application/json"}
        if value:
            headers["Authorization"] = value
        return headers


def _sender(access: Access, headers: Mapping[str, str], seconds: float, connections: int) -> Sender:
    if access.proxy is not None:
        from switchboard.kube.proxied import Proxied

        return Proxied(access, headers, seconds=seconds, limit=connections)
    tls, name = access.tls, access.tls_server_name
    return Wire(URL(access.server), headers, tls=tls, tls_server_name=name, seconds=seconds, limit=connections)


@lru_cache(maxsize=64)
def _query(params: tuple[tuple[str, str], ...]) -> str:
    return urlencode(params)


def _typed(resource: ResourceType, obj: Object) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    chosen = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in chosen.items() if value}


def _no_answer(server: str, error: Exception) -> Unavailable:
    what = "no answer in time" if isinstance(error, (TimeoutError, asyncio.TimeoutError)) else str(error)
    return Unavailable(f"the API server at {server} did not answer: {what or type(error).__name__}", reason="NoAnswer")
