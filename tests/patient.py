"""A client as careful as its users are: what a busy API server refused or lost is asked again, where that is safe.

The product is not to be judged by a test's own request that failed, so all clients of tests come from here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from kubesandbox.client import ApiError, Client
from switchboard.kube.access import discover
from switchboard.kube.client import APPLY_PATCH, KubeApi
from switchboard.kube.errors import AlreadyExists, Conflict, KubeError, NotFound, TooManyRequests, Unavailable
from switchboard.kube.resources import Object

TRIES = 12
LONGEST_PAUSE = 1.0
LOST = "request timed out"
"""What etcd says of a write that it may have done."""
REFUSED = "leader changed"
"""What it says of one that it has surely not done, on a hostile cluster."""


class PatientApi(KubeApi):
    """Repeats requests that got 429, 5xx or no answer, and conflicts of those that did not ask for a version."""

    adopts = True
    """Whether what exists once a creation is repeated counts as made by it."""

    async def _request(self, method: str, path: str, **options: Any) -> Object:
        body, name = options.get("body"), ""
        if method == "POST" and isinstance(body, dict):
            name = str(body.get("metadata", {}).get("name", ""))
        lost = False
        for attempt in range(TRIES):
            try:
                return await super()._request(method, path, **options)
            except AlreadyExists:
                if not attempt or not name or not self.adopts:
                    raise
                return await super()._request("GET", f"{path}/{name}")  # an earlier try made it; its answer was lost
            except NotFound:
                if not lost or method != "DELETE":
                    raise  # somebody else deleted it
                return {}
            except (Conflict, TooManyRequests, Unavailable) as error:
                if attempt == TRIES - 1:
                    raise
                lost = lost or (isinstance(error, Unavailable) and REFUSED not in str(error))
                if not _may_repeat(method, options, error):
                    found = await self._conflicting(path)
                    if lost and (_says(found, body) if found else method == "DELETE"):
                        return found  # an earlier try wrote or deleted it; its answer was lost
                    if not _is_wanted(found, body):
                        raise
                await asyncio.sleep(error.retry_after or min(LONGEST_PAUSE, 0.05 * 2**attempt))
        raise AssertionError("unreachable")

    async def _conflicting(self, path: str) -> Object:
        """What a write met; nothing, if it is gone."""
        try:
            return await self._request("GET", path.removesuffix("/status"))
        except NotFound:
            return {}


def _may_repeat(method: str, options: dict[str, Any], error: KubeError) -> bool:
    """Whether the request means the same when it is sent again."""
    if not isinstance(error, Conflict):
        return True
    body = options.get("body")
    if method == "GET" or not isinstance(body, dict) or error.causes:  # causes: another manager owns the fields
        return False
    return not _wanted(body) or options.get("content") == APPLY_PATCH


def _wanted(body: object) -> dict[str, str]:
    """The uid and the version that an object must have for a request to be granted."""
    if not isinstance(body, dict):
        return {}
    asked = body.get("preconditions") or body.get("metadata") or {}
    return {key: asked[key] for key in ("uid", "resourceVersion") if asked.get(key)}


def _is_wanted(found: Object, body: object) -> bool:
    """Whether an object is the one, in the version, that a request asked for: it conflicted with nothing."""
    wanted = _wanted(body)
    return bool(wanted and found) and wanted.items() <= found["metadata"].items()


def _says(found: Any, body: Any) -> bool:
    """Whether an object is as a merge patch wants it, whatever its version."""
    if not isinstance(found, dict) or not isinstance(body, dict):
        return bool(found == body)
    return all(
        key == "resourceVersion" or (key not in found if wanted is None else _says(found.get(key), wanted))
        for key, wanted in body.items()
    )


class PatientClient(Client):
    """The same for the client of the node and the controllers, which have to be patient by themselves."""

    async def request(self, method: str, path: str, **options: Any) -> Object:
        name = str(((options.get("body") or {}).get("metadata") or {}).get("name", "")) if method == "POST" else ""
        for attempt in range(TRIES):
            try:
                return await super().request(method, path, **options)
            except ApiError as error:
                if attempt and error.already_exists and name:
                    return await super().request("GET", f"{path}/{name}")
                if attempt and error.not_found and method == "DELETE":
                    return {}
                if attempt == TRIES - 1 or not is_passing(error):
                    raise
            await asyncio.sleep(min(LONGEST_PAUSE, 0.05 * 2**attempt))
        raise AssertionError("unreachable")


def is_passing(error: ApiError) -> bool:
    """Whether what was refused may be granted when it is asked for again. No test asks for a version."""
    return error.code == 429 or error.code >= 500 or error.conflict


async def connect(kubeconfig: Path, *, adopts: bool = True) -> PatientApi:
    """A patient client of a cluster."""
    api = PatientApi(await discover(kubeconfig))
    api.adopts = adopts
    return api
