"""The official SDK's HTTP client over one shared aiohttp session.

The SDK's own asynchronous client sends JSON bodies form-encoded, ignores its time-out, opens a session of its own and
logs phone numbers. This one does none of that, and anything of the SDK works on it (`Client(…, http_client=…)`).
Importing this module loads the SDK's base and `requests`, about 0.1 s: `client` does so when it is first used.
"""

import base64
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from yarl import URL

from switchboard.providers.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

_logger = logging.getLogger(__name__)

MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of one answer; a page of a thousand messages of 1600 characters is under 8 MiB."""


class AiohttpTransport(AsyncHttpClient):  # type: ignore[misc]
    """Sends the SDK's requests through `session`, which it does not close.

    `base_url` takes the place of every host (https://api.twilio.com, https://messaging.twilio.com), also in the next
    page's URL that an answer names and whatever TWILIO_REGION and TWILIO_EDGE made of it: an egress gateway or a
    simulator gets all requests. Without it, only Twilio's own hosts are ever sent the credentials.
    """

    def __init__(
        self, session: aiohttp.ClientSession, *, base_url: str = "", timeout: float = 10.0, proxy: str | None = None
    ) -> None:
        """`timeout`: seconds for a request altogether, unless the request brings its own."""
        super().__init__(_logger, is_async=True, timeout=timeout)
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._proxy = proxy

    async def request(  # noqa: PLR0917 - the SDK's signature
        self,
        method: str,
        uri: str,
        params: "Mapping[str, object] | None" = None,
        data: Any = None,
        headers: "Mapping[str, str] | None" = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the SDK's signature
        allow_redirects: bool = False,
    ) -> Response:
        sent = dict(headers or {})
        if auth:
            sent["Authorization"] = basic_auth(*auth)
        body = _encode(data, sent) if data is not None and data != {} else None
        async with self._session.request(
            method,
            self._url(uri, params),
            data=body,
            headers=sent,
            timeout=aiohttp.ClientTimeout(total=timeout or self.timeout, sock_connect=5),
            allow_redirects=allow_redirects,
            proxy=self._proxy,
        ) as answer:
            content = await answer.content.read(MAX_ANSWER)
            while chunk := await answer.content.read(MAX_ANSWER):
                content += chunk
                if len(content) > MAX_ANSWER:
                    raise RejectedError(f"An answer has more than {MAX_ANSWER} bytes.", reason="NotTwilio")
            return Response(answer.status, content.decode("utf-8", "replace"), answer.headers)

    def _url(self, uri: str, params: "Mapping[str, object] | None") -> URL:
        """The request's URL, its escapes left as they are."""
        if self._base_url:
            if not uri.startswith(self._base_url + "/"):
                parts = urlsplit(uri)
                uri = self._base_url + parts.path + (f"?{parts.query}" if parts.query else "")
        elif not is_twilio(uri):
            raise RejectedError("Credentials are sent to Twilio and nowhere else.", reason="NotTwilio")
        query = urlencode(_flatten(params)) if params else ""
        if query:
            uri += ("&" if "?" in uri else "?") + query
        return URL(uri, encoded=True)


def is_twilio(url: str) -> bool:
    """Whether `url` is https to a host of twilio.com."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts.scheme == "https" and (host == "twilio.com" or host.endswith(".twilio.com"))


def basic_auth(username: str, password: str) -> str:
    """The Authorization header's value."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _encode(data: Any, headers: "Mapping[str, str]") -> bytes:
    """JSON where the SDK says so, form otherwise. Text goes as it is."""
    if isinstance(data, str):
        return data.encode()
    if "json" in headers.get("Content-Type", ""):
        return json.dumps(data).encode()
    return urlencode(_flatten(data)).encode()


def _flatten(values: "Mapping[str, object]") -> list[tuple[str, str]]:
    """A list's items each under the same name, as `MediaUrl` wants them; None falls away."""
    return [
        (name, str(item))
        for name, value in values.items()
        for item in (value if isinstance(value, (list, tuple)) else [value])
        if item is not None
    ]
