"""Requests through a proxy that the kubeconfig names (`proxy-url`): aiohttp's client knows how."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from yarl import URL

from switchboard.kube.access import Access
from switchboard.kube.wire import Answer


class Proxied:
    """A server behind a proxy."""

    def __init__(self, access: Access, headers: Mapping[str, str], *, seconds: float, limit: int) -> None:
        """`headers`: of every request; `seconds`: for each altogether; `limit`: connections at a time."""
        self._access = access
        self._origin = URL(access.server).origin()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, ssl=access.tls if access.tls is not None else True),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=seconds),
        )

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """The answer. `target`: path and query, encoded. Raises OSError or ValueError where there is none."""
        try:
            async with self._session.request(
                method,
                self._origin.join(URL(target, encoded=True)),
                data=body,
                headers=headers,
                server_hostname=self._access.tls_server_name,
                proxy=self._access.proxy,
            ) as response:
                return Answer(response.status, await response.read(), response.headers.get("Retry-After"))
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Lets go of all connections."""
        await self._session.close()
