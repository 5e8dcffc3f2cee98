"""The client against a server that answers as kube-apiserver does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from switchboard.kube import events, watching
from switchboard.kube.access import Access, Token
from switchboard.kube.client import Changed, KubeApi, Synced
from switchboard.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from switchboard.kube.resources import AGENTS, NAMESPACES, SECRETS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def api(handler: Handler, **options: Any) -> AsyncIterator[KubeApi]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with KubeApi(Access(f"http://{host}:{port}", Token("s3cret")), **options) as client:
            yield client
    finally:
        await runner.cleanup()


def status(code: int, reason: str, **more: Any) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": f"{reason} it is", "code": code, **more}
    return web.json_response(body, status=code)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Gone),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", Unavailable),
        (504, "Timeout", Unavailable),
        (400, "BadRequest", KubeError),
    ],
)
async def test_each_answer_is_its_own_error(code: int, reason: str, kind: type[KubeError]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return status(code, reason)

    async with api(answer) as client:
        with pytest.raises(kind) as caught:
            await client.get(AGENTS, "support", "acme")
    assert type(caught.value) is kind
    assert str(caught.value) == f"{reason} it is"


async def test_a_busy_server_is_asked_again_when_it_said_that_it_may_be() -> None:
    asked = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return status(429, "TooManyRequests", details={"retryAfterSeconds": 0}) if asked < 3 else web.json_response({})

    async with api(answer) as client:
        assert await client.get(AGENTS, "support", "acme") == {}
    assert asked == 3


async def test_a_long_wait_is_left_to_the_caller() -> None:
    asked = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return status(429, "TooManyRequests", details={"retryAfterSeconds": 60})

    async with api(answer) as client:
        with pytest.raises(TooManyRequests) as caught:
            await client.get(AGENTS, "support", "acme")
    assert (asked, caught.value.retry_after) == (1, 60)


async def test_an_event_is_told_again_while_the_server_is_away_and_no_more_than_once() -> None:
    names: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        names.append((await request.json())["metadata"]["name"])
        return status(500, "InternalError") if len(names) == 1 else status(409, "AlreadyExists")

    async with api(answer) as client:
        await events.post(client, {"metadata": {"name": "told.1", "namespace": "acme"}})
    assert names == ["told.1", "told.1"]


async def test_an_error_names_the_fields_and_the_wait() -> None:
    details = {
        "causes": [{"field": "spec.x", "message": "too long", "reason": "FieldValueTooLong"}],
        "retryAfterSeconds": 3,
    }

    async def answer(_: web.Request) -> web.Response:
        return status(422, "Invalid", details=details)

    async with api(answer) as client:
        with pytest.raises(Invalid) as caught:
            await client.create(AGENTS, {"metadata": {"name": "a", "namespace": "acme"}})
    assert caught.value.causes[0].field == "spec.x"
    assert caught.value.retry_after == 3


async def test_an_answer_of_a_proxy_is_an_error_too() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>bad gateway</html>")

    async with api(answer) as client:
        with pytest.raises(Unavailable, match="bad gateway"):
            await client.get(AGENTS, "support", "acme")


async def test_no_answer_in_time_is_unavailable() -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with api(answer, request_seconds=0.05) as client:
        with pytest.raises(Unavailable, match="no answer in time"):
            await client.get(AGENTS, "support", "acme")


async def test_no_server_is_unavailable() -> None:
    async with KubeApi(Access("http://127.0.0.1:1", Token())) as client:
        with pytest.raises(Unavailable):
            await client.get(NAMESPACES, "acme")


async def test_a_list_is_read_to_its_last_page() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer s3cret"
        if request.query.get("continue") != "next":
            meta = {"resourceVersion": "7", "continue": "next"}
            return web.json_response({"metadata": meta, "items": [{"metadata": {"name": "a"}}]})
        return web.json_response({"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "b"}}]})

    async with api(answer) as client:
        listing = await client.list(AGENTS, "acme", label_selector="a=b", limit=1)
    assert [it["metadata"]["name"] for it in listing.items] == ["a", "b"]
    assert listing.items[0]["kind"] == "Agent"
    assert listing.resource_version == "7"


async def test_server_side_apply_says_who_applies() -> None:
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.method, request.path, dict(request.query), request.content_type, await request.json()))
        return web.json_response({})

    async with api(answer) as client:
        obj = {"metadata": {"name": "a", "namespace": "acme"}, "status": {}}
        await client.apply(AGENTS, obj, manager="me", subresource="status")
    [(method, path, query, content, body)] = seen
    assert (method, path) == ("PATCH", "/apis/switchboard.dev/v1alpha1/namespaces/acme/agents/a/status")
    assert query == {"fieldManager": "me", "force": "true"}
    assert content == "application/apply-patch+yaml"
    assert body["apiVersion"] == "switchboard.dev/v1alpha1"


async def test_a_deletion_can_be_of_one_very_object() -> None:
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return web.json_response({})

    async with api(answer) as client:
        await client.delete(SECRETS, "s", "acme", uid="u", resource_version="4")
    assert seen[0]["preconditions"] == {"uid": "u", "resourceVersion": "4"}


class Cluster:
    """Lists once per version; gives the events that a test wrote, watch by watch."""

    def __init__(self, *watches: list[Any]) -> None:
        self.watches = list(watches)
        self.lists = 0
        self.asked: list[str] = []
        self.accepts: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.accepts.append(request.headers["Accept"])
        if "watch" not in request.query:
            self.lists += 1
            version = str(100 * self.lists)
            items = [{"metadata": {"name": f"listed-{self.lists}", "resourceVersion": version}}]
            return web.json_response({"metadata": {"resourceVersion": version}, "items": items})
        self.asked.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        if not self.watches:
            await asyncio.Event().wait()
        for event in self.watches.pop(0):
            if event is None:
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(json.dumps(event).encode() + b"\n")
        return response


def event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": str(version)}}}


async def collect(cluster: Cluster, count: int, **options: Any) -> list[str]:
    seen: list[str] = []
    async with api(cluster.handle) as client:
        events = client.watch(AGENTS, "acme", **options)
        async for it in events:
            match it:
                case Synced(items):
                    seen.append(f"synced {items[0]['metadata']['name']}")
                case Changed(kind, obj):
                    seen.append(f"{kind} {obj['metadata']['name']}")
            if len(seen) == count:
                break
        await events.aclose()
    return seen


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_PAUSE", 0.001)


async def test_a_watch_goes_on_where_it_was_after_a_disconnect() -> None:
    cluster = Cluster([event("ADDED", "a", 101), event("BOOKMARK", "", 150), None], [event("DELETED", "a", 151)])
    assert await collect(cluster, 3) == ["synced listed-1", "ADDED a", "DELETED a"]
    assert (cluster.lists, cluster.asked) == (1, ["100", "150"])


async def test_a_watch_whose_place_is_too_old_lists_again() -> None:
    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    cluster = Cluster([event("ADDED", "a", 101), expired], [event("ADDED", "b", 201)])
    assert await collect(cluster, 4) == ["synced listed-1", "ADDED a", "synced listed-2", "ADDED b"]
    assert cluster.asked == ["100", "200"]


async def test_an_object_larger_than_the_readers_buffer_comes_whole() -> None:
    large = event("ADDED", "a", 101)
    large["object"]["data"] = "x" * 300_000
    assert await collect(Cluster([large]), 2) == ["synced listed-1", "ADDED a"]


async def test_of_secrets_only_the_metadata_is_asked_for() -> None:
    cluster = Cluster([event("ADDED", "a", 101)])
    await collect(cluster, 2, metadata_only=True)
    assert all("PartialObjectMetadata" in accept for accept in cluster.accepts)


async def test_watches_do_not_take_the_requests_connections() -> None:
    cluster = Cluster()
    async with api(cluster.handle, connections=1) as client:
        watches = [client.watch(AGENTS, "acme") for _ in range(3)]
        for watch in watches:
            await anext(watch)
        pending = [asyncio.ensure_future(anext(watch)) for watch in watches]
        while len(cluster.asked) < 3:
            await asyncio.sleep(0)
        assert (await client.list(AGENTS, "acme")).items
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def test_what_does_not_fit_its_schema_is_refused_for_good_though_the_server_says_500() -> None:
    async def handle(_: web.Request) -> web.Response:
        said = 'failed to create typed patch object (acme/a; …): .spec.connectors: duplicate entries for key [name="a"]'
        return status(500, "InternalError", message=said)

    async with api(handle) as client:
        with pytest.raises(Invalid, match="duplicate entries"):
            await client.apply(AGENTS, {"metadata": {"name": "a", "namespace": "acme"}}, manager="m")
