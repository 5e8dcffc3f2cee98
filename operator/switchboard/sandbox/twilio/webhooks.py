"""How Twilio calls a webhook: signed, within 15 seconds, and again as the URL's fragment asks.

Sources: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides,
https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

import base64
import hmac
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urldefrag, urlencode, urlsplit

import aiohttp
from yarl import URL

from switchboard.sandbox.twilio.control_models import Signature, WebhookCall
from switchboard.sandbox.twilio.records import Account
from switchboard.sandbox.twilio.world import World

Pairs = Sequence[tuple[str, str]]
_MAX_ANSWER = 64 * 1024


@dataclass(frozen=True)
class Overrides:
    """What a URL's fragment asks for: seconds to connect and to read, how often to try again, and after what."""

    connect: float = 5.0
    read: float = 15.0
    total: float = 15.0
    retries: int = 1
    policy: frozenset[str] = frozenset({"ct"})

    @classmethod
    def parse(cls, url: str, total: float) -> "Overrides":
        """Values out of their range are ignored, as Twilio does."""
        asked = dict(parse_qsl(urlsplit(url).fragment))

        def seconds(name: str, default: float, least: int) -> float:
            value = asked.get(name, "")
            return int(value) / 1000 if value.isdigit() and least <= int(value) <= 15000 else default

        retries = asked.get("rc", "")
        policy = frozenset(asked.get("rp", "ct").split(","))
        return cls(
            connect=seconds("ct", 5.0, 100),
            read=seconds("rt", 15.0, 100),
            total=min(total, seconds("tt", 15.0, 100)),
            retries=int(retries) if retries.isdigit() and int(retries) <= 5 else 1,
            policy=frozenset({"ct", "rt", "4xx", "5xx"}) if "all" in policy else policy,
        )


@dataclass
class Answer:
    """What came of calling a webhook: the last attempt's answer, or what failed."""

    url: str
    status: int | None = None
    failure: str = ""
    content_type: str = ""
    body: bytes = b""
    calls: list[WebhookCall] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Webhooks:
    """Calls webhooks over a session of its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        account: Account,
        url: str,
        method: str,
        pairs: Pairs,
        *,
        kind: Literal["message", "fallback", "status"],
        message_sid: str,
        signature: Signature = "good",
        message_status: str = "",
    ) -> Answer:
        """The outcome after all attempts. Never raises for what the other side does."""
        overrides = Overrides.parse(url, self._world.settings.webhook_seconds)
        bare = urldefrag(url).url
        token = secrets.token_hex(16)
        answer = Answer(url)
        end = time.monotonic() + overrides.total
        for attempt in range(overrides.retries + 1):
            left = end - time.monotonic()
            if left <= 0:
                break
            begun = time.monotonic()
            headers = {"I-Twilio-Idempotency-Token": token, "User-Agent": "TwilioProxy/1.1", "Accept": "*/*"}
            await self._attempt(answer, account, bare, method, pairs, headers, overrides, left, signature)
            call = WebhookCall(
                kind=kind,
                account=account.sid,
                message_sid=message_sid,
                url=url,
                attempt=attempt + 1,
                status=answer.status,
                failure=answer.failure,
                seconds=round(time.monotonic() - begun, 4),
                message_status=message_status,
            )
            answer.calls.append(call)
            self._world.webhook_calls.append(call)
            await self._world.watchers.notify()
            if answer.failure not in overrides.policy:
                break
        return answer

    async def _attempt(  # noqa: PLR0917 - what one attempt depends on
        self,
        answer: Answer,
        account: Account,
        url: str,
        method: str,
        pairs: Pairs,
        headers: dict[str, str],
        overrides: Overrides,
        left: float,
        signature: Signature,
    ) -> None:
        if method == "GET":
            url += ("&" if "?" in url else "?") + urlencode(pairs)
            pairs = ()
        if (signed := self._sign(account, url, pairs, signature)) is not None:
            headers["X-Twilio-Signature"] = signed
        target, headers = self._route(url, headers)
        body = None
        if method != "GET":
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
            body = urlencode(pairs).encode()
        timeout = aiohttp.ClientTimeout(
            total=left, sock_connect=min(overrides.connect, left), sock_read=min(overrides.read, left)
        )
        answer.status, answer.failure = None, ""
        try:
            async with self._open().request(
                method, URL(target, encoded=True), data=body, headers=headers, timeout=timeout, allow_redirects=True
            ) as response:
                answer.status = response.status
                answer.content_type = response.content_type if "Content-Type" in response.headers else ""
                answer.body = await response.content.read(_MAX_ANSWER)
                if response.status >= 400:
                    answer.failure = f"{response.status // 100}xx"
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            answer.failure = "ct"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            answer.status, answer.failure = None, "rt"

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    def _route(self, url: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        """Where a public URL is really served, as a proxy in front of it would pass it on."""
        parts = urlsplit(url)
        served = self._world.settings.routes.get(f"{parts.scheme}://{parts.netloc}")
        if served is None:
            return url, headers
        rest = url.split(parts.netloc, 1)[1]
        return served.rstrip("/") + rest, headers | {"Host": parts.netloc, "X-Forwarded-Proto": parts.scheme}

    @staticmethod
    def _sign(account: Account, url: str, pairs: Pairs, signature: Signature) -> str | None:
        if signature == "missing":
            return None
        token = {"good": account.auth_token, "old": account.old_token or account.auth_token}.get(signature)
        return sign(token if token is not None else secrets.token_hex(16), url, dict(pairs))


def sign(token: str, url: str, parameters: Mapping[str, str]) -> str:
    """X-Twilio-Signature of a form-encoded request."""
    text = url + "".join(name + parameters[name] for name in sorted(parameters))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()
