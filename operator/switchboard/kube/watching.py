"""A watch that never ends: lists, follows, resumes after a disconnect, lists again when its place is too old."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from switchboard.kube.errors import Gone, KubeError, NotFound
from switchboard.kube.resources import Object, ResourceType

if TYPE_CHECKING:
    import aiohttp

    from switchboard.kube.client import Listing

log = logging.getLogger(__name__)

WATCH_SECONDS = 290
"""How long one watch request is asked to last; the server sends a bookmark about every minute."""
IDLE_SECONDS = 320.0
"""Silence after which a connection counts as dead."""
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 15.0
OPEN_SECONDS = 1.0
"""What was open that long had been granted: that it broke, as quiet watches do behind proxies, is no failure more."""


@dataclass(frozen=True, slots=True)
class Synced:
    """Everything there is: after the first listing and after each one that had to be repeated."""

    items: list[Object]
    version: str
    """The resource version that they are of."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One object was added, modified or deleted."""

    kind: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object


class Watchable(Protocol):
    """What a watch needs of a client."""

    async def list(
        self,
        resource: ResourceType,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> Listing: ...

    def stream(
        self,
        resource: ResourceType,
        namespace: str | None,
        params: Mapping[str, str],
        idle_seconds: float,
        *,
        metadata_only: bool = False,
    ) -> AsyncIterator[Object]: ...


async def watch(
    api: Watchable,
    resource: ResourceType,
    namespace: str | None,
    label_selector: str,
    field_selector: str,
    *,
    metadata_only: bool = False,
) -> AsyncGenerator[Synced | Changed]:
    """`Synced`, then `Changed` after `Changed`; another `Synced` whenever changes may have been missed."""
    version: str | None = None
    failures = 0
    while True:
        began = time.monotonic()
        try:
            if version is None:
                listing = await api.list(
                    resource,
                    namespace,
                    label_selector=label_selector,
                    field_selector=field_selector,
                    metadata_only=metadata_only,
                )
                version = listing.resource_version
                yield Synced(listing.items, version)
            params = {"resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
            if label_selector:
                params["labelSelector"] = label_selector
            if field_selector:
                params["fieldSelector"] = field_selector
            async for event in api.stream(resource, namespace, params, IDLE_SECONDS, metadata_only=metadata_only):
                failures = 0
                obj = event["object"]
                version = str(obj["metadata"]["resourceVersion"])
                if event["type"] != "BOOKMARK":
                    yield Changed(event["type"], obj)
        except Gone:
            version = None
            log.info("the watch's place is too old: listing again", extra={"resource": resource.plural})
        except KubeError as error:
            if isinstance(error, NotFound):
                version = None  # the kind's definition went: should it come again, nothing of before is there
            failures = 1 if time.monotonic() - began > OPEN_SECONDS else failures + 1
            pause = max(_pause(failures), error.retry_after or 0)
            level = logging.WARNING if failures > 1 else logging.INFO
            log.log(level, "watch failed, trying again", extra={"resource": resource.plural, "error": str(error)})
            await asyncio.sleep(pause)


def _pause(failures: int) -> float:
    """Seconds before the next try: doubling, with jitter, so that many watchers do not return at once."""
    longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter


async def lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The stream's lines, of any length: one object may be larger than the reader's own limit of a line."""
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
