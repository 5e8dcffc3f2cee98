"""Writing a pod's status: whenever it has changed, and only then."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from kubesandbox.client import ApiError, Client, Object
from kubesandbox.client.resources import PODS

FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0


class Reporter:
    """One pod's status at the API server."""

    def __init__(self, client: Client, pod: Object) -> None:
        self._client = client
        self._reported: Object | None = None
        self._changed = asyncio.Event()
        # A pod that had ended before this node saw it keeps what was reported then.
        self._settled = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}

    def changed(self) -> None:
        """Something that the status says may be different now."""
        self._changed.set()

    async def run(self, write: Callable[[], Awaitable[None]]) -> None:
        """Call `write` after each change, and again with back-off while it fails."""
        delay = 0.0
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await write()
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                if isinstance(error, ApiError) and error.not_found:
                    continue
                delay = min(delay * 2 or FIRST_DELAY, LONGEST_DELAY)
                self._changed.set()
                await asyncio.sleep(delay)
            else:
                delay = 0.0

    async def write(self, pod: Object, status: Object) -> Object | None:
        """Write the status if it differs from the last one; gives what the server made of it."""
        if self._settled or status == self._reported:
            return None
        metadata = pod["metadata"]
        patch: Object = {"metadata": {"uid": metadata["uid"]}, "status": status}
        answer = await self._client.patch(PODS, metadata["namespace"], metadata["name"], patch, subresource="status")
        self._reported = status
        return dict(answer.get("status") or {})
