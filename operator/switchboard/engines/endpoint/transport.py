"""Requests to an endpoint: bounded, never redirected, and with failures told apart by who must act."""

from __future__ import annotations

import email.utils
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import aiohttp

from switchboard import __version__
from switchboard.api.engine import EndpointEngine
from switchboard.api.hosts import is_url
from switchboard.api.runtime import SecretFiles
from switchboard.engines import tracing
from switchboard.engines.base import EngineError, EngineMisconfigured, EngineRefused, EngineUnavailable, TurnInput
from switchboard.engines.secrets import HeaderFiles
from switchboard.engines.texts import Redactor, shown

FIELD: Final = "spec.template.engine.endpoint"
ANSWER_BYTES: Final = 1 << 20
"""Bytes of an answer that are read."""
QUOTED: Final = 300
"""Characters of an error's body that are repeated to a person."""
_RESERVED: Final = frozenset(
    {"content-length", "content-type", "host", "idempotency-key", "transfer-encoding", "connection"}
)
"""Headers that are not the user's to set. `webhook-…` and `a2a-…` are ours as well."""

SessionFactory = Callable[[], aiohttp.ClientSession]


def default_session() -> aiohttp.ClientSession:
    """A session that keeps no cookies: one contact's must not travel with another's messages."""
    return aiohttp.ClientSession(
        # Shorter than what servers commonly keep: a connection that they just closed costs an attempt.
        connector=aiohttp.TCPConnector(keepalive_timeout=4),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=10),
        headers={"User-Agent": f"switchboard/{__version__}"},
        trust_env=True,
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the other side with status 2xx."""

    status: int
    body: bytes


class Transport:
    """One endpoint's HTTP."""

    def __init__(self, endpoint: EndpointEngine, secrets_path: Path, session_factory: SessionFactory | None) -> None:
        self.url = endpoint.url
        if not is_url(endpoint.url):
            raise _no_url()
        self._session_factory = session_factory or default_session
        self._session: aiohttp.ClientSession | None = None
        self._headers = (
            HeaderFiles(secrets_path / SecretFiles.ENGINE_HEADERS, f"{FIELD}.headersSecretRef")
            if endpoint.headers_secret_ref is not None
            else None
        )

    def headers(self) -> dict[str, str]:
        """The user's headers, read anew so that a rotated token is used at once.

        Raises:
            EngineMisconfigured: they cannot be had, or one is not the user's to set.
        """
        if self._headers is None:
            return {}
        headers = self._headers.read()
        for name in headers:
            if name.lower() in _RESERVED or name.lower().startswith(("webhook-", "a2a-")):
                raise EngineMisconfigured(
                    "HeaderInvalid", f"{self._headers.field}: {name} is set by Switchboard; remove that key"
                )
        return headers

    async def request(
        self,
        method: str,
        url: str,
        *,
        turn: TurnInput,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        allow: frozenset[int] = frozenset(),
    ) -> Reply:
        """Sends one request and reads its answer.

        Args:
            method: GET or POST.
            url: absolute.
            turn: the turn it is made for.
            body: JSON.
            headers: ours, besides the user's.
            allow: statuses besides 2xx that are an answer.

        Raises:
            EngineError: no answer, or one that is an error.
        """
        own = self.headers()
        redactor = Redactor(own.values())
        sent = own | {"Accept": "application/json", **tracing.headers(turn), **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            async with self._open().request(method, url, data=body, headers=sent, allow_redirects=False) as response:
                content = await _read(response, url)
                if 200 <= response.status < 300 or response.status in allow:
                    return Reply(response.status, content)
                raise _error(response, content, url, redactor)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            _raise_unreachable(error, url)

    async def close(self) -> None:
        """Closes the session."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._session_factory()
        return self._session


async def _read(response: aiohttp.ClientResponse, url: str) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        content += chunk
        if len(content) > ANSWER_BYTES:
            raise EngineRefused("EndpointAnswerTooLarge", f"{shown(url)} answered with more than {ANSWER_BYTES} bytes")
    return bytes(content)


def parse_json(reply: Reply, url: str) -> object:
    """The answer's JSON.

    Raises:
        EngineRefused: it is none.
    """
    try:
        value: object = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise EngineRefused("EndpointAnswerInvalid", f"{shown(url)} answered with something that is not JSON") from None
    return value


def retry_after(value: str | None) -> float | None:
    """Seconds to wait, of a Retry-After header (RFC 9110, section 10.2.3: seconds or a date)."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _error(response: aiohttp.ClientResponse, content: bytes, url: str, redactor: Redactor) -> EngineError:
    status = response.status
    words = redactor.clean(content.decode(errors="replace"), QUOTED)
    told = f"{shown(url)} answered {status}" + (f": {words}" if words else "")
    if 300 <= status < 400:
        return EngineMisconfigured(
            "EndpointRedirected", f"{told}; redirects are not followed, set {FIELD}.url to where it leads"
        )
    if status in (401, 403):
        # What the other side says to a refused caller may repeat what it was sent.
        return EngineMisconfigured(
            "EndpointUnauthorized",
            f"{shown(url)} answered {status}: it refuses the request's credentials; "
            f"check the Secrets of {FIELD}.headersSecretRef and {FIELD}.signingSecret",
        )
    if status in (404, 405, 410):
        return EngineMisconfigured("EndpointNotFound", f"{told}; check {FIELD}.url")
    if status in (408, 409, 425, 429) or status >= 500:
        kind = "RateLimited" if status == 429 else "EndpointUnavailable"
        return EngineUnavailable(kind, told, retry_after=retry_after(response.headers.get("Retry-After")))
    return EngineRefused("EndpointRefused", told)


def _no_url() -> EngineMisconfigured:
    return EngineMisconfigured("EndpointInvalid", f"{FIELD}.url is not a URL that can be asked")


def _raise_unreachable(error: BaseException, url: str) -> NoReturn:
    if isinstance(error, aiohttp.InvalidURL):
        raise _no_url() from None
    if isinstance(error, aiohttp.ClientConnectorCertificateError | ssl.SSLError):
        raise EngineUnavailable("EndpointUntrusted", f"{shown(url)}: its TLS certificate is not trusted") from None
    raise EngineUnavailable("EndpointUnreachable", f"{shown(url)} cannot be reached ({type(error).__name__})") from None
