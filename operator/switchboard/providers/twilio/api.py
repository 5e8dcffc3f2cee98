"""A request to Twilio through the SDK's base client, and a process's shared connections.

The SDK's resource classes are left out: they take 12 MiB and half a second to import, drop `Retry-After`, raise a bare
error when a list fails and strip a None that must be sent. Its client, HTTP layer and reading of errors are used.
"""

import asyncio
import importlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from switchboard.providers.errors import ProviderError
from switchboard.providers.twilio.credentials import Credentials
from switchboard.providers.twilio.errors import from_answer, from_exception

if TYPE_CHECKING:
    from twilio.base.client_base import ClientBase

API = "https://api.twilio.com"
MESSAGING = "https://messaging.twilio.com"
Json = dict[str, object]
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class TwilioConnections:
    """The connections of a process, for all accounts. Use it as an async context manager, or `close` it."""

    def __init__(self, *, limit: int = 64, timeout: float = 10.0) -> None:
        """`limit`: connections at a time; `timeout`: seconds for a request that brings none of its own."""
        self.timeout = timeout
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Made when first asked for, inside the running loop. It keeps no cookies."""
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limit, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self.timeout, sock_connect=5),
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class TwilioAPI:
    """One account's requests. `base_url`: an egress gateway's or a simulator's, in the place of Twilio's hosts."""

    def __init__(self, connections: TwilioConnections, credentials: Credentials, *, base_url: str = "") -> None:
        self.connections = connections
        self.credentials = credentials
        self.base_url = base_url.rstrip("/")
        self.proxy = proxy_for(self.base_url or API)
        self._client: ClientBase | None = None

    async def call(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, object] | None = None,
        form: Mapping[str, object] | None = None,
        body: Json | None = None,
        once: bool = False,
        within: float | None = None,
    ) -> Json:
        """The answer's object. `form` or `body` (JSON, None kept as null) is sent; `once` as in `errors.from_answer`.

        Raises ProviderError.
        """
        client = self._client or await self._load()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body) if body is not None else form
        try:
            answer = await client.request_async(
                method, url, params=params, data=data, headers=headers, timeout=within or self.connections.timeout
            )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise from_exception(error, once=once) from None
        return _read(method, answer.status_code, answer.text, answer.headers, once)

    async def pages(
        self, url: str, key: str, *, params: Mapping[str, object] | None = None, limit: int = 100_000
    ) -> AsyncIterator[Json]:
        """The items under `key` of a collection, page after page, `limit` at most.

        Only the path and query of the next page are taken from an answer, never its host. Raises ProviderError.
        """
        base, seen = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}", 0
        following: str | None = url
        while following:
            page = await self.call("GET", following, params=params)
            params = None
            items = page.get(key)
            for item in items if isinstance(items, list) else ():
                yield item
                seen += 1
                if seen >= limit:
                    return
            meta = page.get("meta")
            said = meta.get("next_page_url") if isinstance(meta, dict) else page.get("next_page_uri")
            if not isinstance(said, str) or not said:
                return
            parts, known = urlsplit(said), following
            following = said if self.is_here(said) else f"{base}{parts.path}?{parts.query}"
            if following == known:
                return

    def is_here(self, url: str) -> bool:
        """Whether `url` is at the base URL, if there is one: credentials may go there."""
        return bool(self.base_url) and url.startswith(self.base_url + "/")

    async def _load(self) -> "ClientBase":
        """Imports the SDK, in a thread because that takes 0.1 s or more, and makes the account's client."""
        transport = await asyncio.to_thread(importlib.import_module, "switchboard.providers.twilio.transport")
        from twilio.base.client_base import ClientBase

        user, password = self.credentials.login
        self._client = ClientBase(
            user,
            password,
            self.credentials.account_sid,
            http_client=transport.AiohttpTransport(
                self.connections.session, base_url=self.base_url, timeout=self.connections.timeout, proxy=self.proxy
            ),
            user_agent_extensions=["switchboard"],
        )
        return self._client


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names (HTTPS_PROXY, NO_PROXY) for `url`; none to this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def _read(method: str, status: int, text: str, headers: Mapping[str, str], once: bool) -> Json:
    if 200 <= status < 300:
        try:
            answer = json.loads(text) if text else {}
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer
        raise from_answer(status, None, headers, once=once)
    raise _error(method, status, text, headers, once)


def _error(method: str, status: int, text: str, headers: Mapping[str, str], once: bool) -> ProviderError:
    from twilio.base.version import Version
    from twilio.http.response import Response

    # Both shapes of an error, Twilio's own and RFC 9457's, are the SDK's to tell apart.
    read = Version.exception(method, "", Response(status, text), "")
    code = read.code if isinstance(read.code, int) and read.code != status else None
    return from_answer(status, code, headers, once=once, now=time.time())
