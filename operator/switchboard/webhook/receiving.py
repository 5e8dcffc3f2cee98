"""What Twilio posts: verified, recorded, and only then answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from switchboard.kube.errors import KubeError
from switchboard.log.errors import LogError
from switchboard.log.protocol import ConversationLog
from switchboard.log.records import DeliveryNews
from switchboard.providers.base import InboundMessage
from switchboard.providers.errors import InvalidWebhookError
from switchboard.providers.twilio.form import MAX_BODY, FormError, parse_form
from switchboard.providers.twilio.inbound import parse_delivery, parse_message
from switchboard.providers.twilio.signature import SETTINGS_HEADER, SIGNATURE_HEADER, SignedURL
from switchboard.telemetry import traces
from switchboard.webhook import metrics
from switchboard.webhook.connectors import Connector, Connectors
from switchboard.webhook.intake import Asking, Desk
from switchboard.webhook.journal import Journal
from switchboard.webhook.plain import Posted
from switchboard.webhook.routing import Unrouted
from switchboard.webhook.twiml import Written, empty_twiml

log = logging.getLogger(__name__)

FORM = "application/x-www-form-urlencoded"
BODY_SECONDS = 10.0
"""How long a sender may take for its body: Twilio itself gives up after 15 seconds in all."""
_LONGEST_ATTEMPT = 128

Pairs = list[tuple[str, str]]
Given = Posted | web.BaseRequest
"""A request that is here, or one whose body is still to be read."""


class Answer(Exception):
    """A request that ends here. `outcome` is its word in metrics."""

    def __init__(self, status: int, outcome: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.outcome = outcome
        self.text = text


class Receiver:
    """Answers `POST /twilio/{namespace}/{connector}` and `…/status/{attempt}`, and nothing else."""

    def __init__(self, connectors: Connectors, desk: Desk, conversations: ConversationLog, ask: Asking) -> None:
        self._connectors = connectors
        self._desk = desk
        self._log = conversations
        self._ask = ask
        self._refreshed = 0.0
        self._journal = Journal()
        self.accepting: Callable[[], bool] = lambda: True
        """Whether all is known that a decision needs; until then Twilio shall try again."""
        self.on_doubt: Callable[[str], None] = lambda connector: None
        """Called with a connector's name when a message of it may have been missed."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to one request of any kind."""
        answer = await self._answer(request.raw_path, request)
        if answer is None:
            return empty_twiml(request)
        headers = {"Connection": "close"} if answer.status == 413 else None
        return web.Response(status=answer.status, text=answer.text, headers=headers)

    def post(self, posted: Posted) -> Awaitable[Written | None]:
        """The answer to a plain request; None: 200 with empty TwiML."""
        return self._answer(posted.path, posted)

    async def _answer(self, path: str, given: Given) -> Written | None:
        connector = self._connectors.by_path.get(path)
        label, kind = (connector.label, "message") if connector is not None else ("", "other")
        try:
            if connector is not None:
                await self._message(given, connector)
                return None
            base, found, attempt = path.rpartition("/status/")
            connector = self._connectors.by_path.get(base) if found else None
            if connector is None:
                raise self._not_here(path if not found else base)
            label, kind = connector.label, "status"
            await self._status(given, connector, attempt)
        except Answer as answer:
            metrics.REQUESTS.labels(label, kind, answer.outcome).inc()
            level = logging.INFO if answer.status < 500 else logging.WARNING
            log.log(level, "a request was not taken", extra={"connector": label, "kind": kind, "why": answer.text})
            return Written(answer.status, answer.text + "\n")
        return None

    def _not_here(self, path: str) -> Answer:
        if path in self._connectors.expected or not self.accepting():
            return Answer(503, "not_ready", "this connector cannot be served yet: try again")
        return Answer(404, "not_found", "there is no such connector")

    async def _message(self, given: Given, connector: Connector) -> None:
        began = time.perf_counter()
        posted = given if isinstance(given, Posted) else await _read(given)
        pairs = self._verified(posted, connector, connector.url)
        message = self._parse(pairs, connector)
        if message is None:
            return
        try:
            taken = await self._desk.take(connector, message)
        except LogError as error:
            self.on_doubt(connector.name)
            metrics.LOG_ERRORS.labels("record").inc()
            raise Answer(503, "not_recorded", f"the message could not be recorded: {error}") from None
        recorded = taken.recorded
        took = time.perf_counter() - began
        metrics.RECORD_SECONDS.observe(took)
        traces.mark("receive", recorded.message[3:], took, {"switchboard.connector": connector.name})
        self._journal.recorded(connector.name, message.message_id, recorded)
        if taken.asks is not None:
            try:
                await self._ask(connector, message, taken)
            except (KubeError, LogError, TimeoutError) as error:
                log.warning("nobody was asked to let the sender in", extra={"error": str(error)})
                raise Answer(
                    503, "not_asked", "the message is recorded, but nobody was told of it: try again"
                ) from None
        metrics.request(connector.label, "message", "duplicate" if recorded.duplicate else "recorded").inc()

    def _parse(self, pairs: Pairs, connector: Connector) -> InboundMessage | None:
        """The message; None if no route takes it, which is counted."""
        try:
            message = parse_message(pairs)
        except InvalidWebhookError as error:
            if not any(name == "From" and ":" in value for name, value in pairs):
                raise Answer(400, "invalid", str(error)) from None
            why = Unrouted.CHANNEL
        else:
            refused = connector.line.refuses(message)
            if refused is None:
                return message
            why = refused
        metrics.UNROUTED.labels(connector.label, why.value).inc()
        if why is Unrouted.ACCOUNT:
            raise Answer(403, "other_account", "AccountSid is not this connector's account")
        metrics.REQUESTS.labels(connector.label, "message", "unrouted").inc()
        log.info("no route takes a message", extra={"connector": connector.name, "why": why.value})
        return None

    async def _status(self, given: Given, connector: Connector, attempt: str) -> None:
        if not attempt or len(attempt) > _LONGEST_ATTEMPT:
            raise Answer(404, "not_found", "there is no such attempt")
        posted = given if isinstance(given, Posted) else await _read(given)
        pairs = self._verified(posted, connector, SignedURL(connector.status_url(attempt)))
        if dict(pairs).get("AccountSid") != connector.credentials.account_sid:
            raise Answer(403, "other_account", "AccountSid is not this connector's account")
        try:
            update = parse_delivery(pairs)
        except InvalidWebhookError as error:
            raise Answer(400, "invalid", str(error)) from None
        if update is None:
            metrics.REQUESTS.labels(connector.label, "status", "not_known").inc()
            return
        try:
            why = update.error or None
            result = await self._log.deliver(
                DeliveryNews(update.message_id, update.state, attempt, update.error_code, why, connector.name)
            )
        except LogError as error:
            metrics.LOG_ERRORS.labels("deliver").inc()
            raise Answer(503, "not_recorded", f"the news could not be recorded: {error}") from None
        metrics.DELIVERIES.labels(connector.label, update.state.value).inc()
        metrics.REQUESTS.labels(connector.label, "status", result.lower()).inc()
        level = logging.ERROR if result == "Contradicted" else logging.INFO
        log.log(
            level,
            "a reply may have been sent twice" if result == "Contradicted" else "news of a reply",
            extra={"sid": update.message_id, "attempt": attempt, "state": update.state.value, "result": result},
        )

    def _verified(self, posted: Posted, connector: Connector, url: SignedURL) -> Pairs:
        """The parameters of a signed request."""
        signature = _checked(posted.content_type, posted.signature)
        try:
            pairs = parse_form(posted.body)
        except FormError as error:
            raise Answer(413 if len(posted.body) > MAX_BODY else 400, "too_large", str(error)) from None
        if not self.accepting():
            raise Answer(503, "not_ready", "not ready yet: try again")
        if connector.check.form(url, pairs, signature, posted.settings):
            return pairs
        if self._fresh(connector).check.form(url, pairs, signature, posted.settings):
            return pairs
        self.on_doubt(connector.name)
        raise Answer(403, "signature", "the signature is not this connector's for this URL and these parameters")

    def _fresh(self, connector: Connector) -> Connector:
        """The connector with its credentials read again, once a second at most: a token may just have been rotated."""
        now = time.monotonic()
        if now - self._refreshed >= 1:
            self._refreshed = now
            self._connectors.refresh()
        return self._connectors.by_name.get(connector.name, connector)


def _checked(content_type: str, signature: str | None) -> str:
    """The signature of a request whose head is as it must be."""
    if not content_type.lower().startswith(FORM):
        raise Answer(415, "content_type", f"the body must be {FORM}")
    if not signature:
        raise Answer(403, "signature", f"the header {SIGNATURE_HEADER} is missing")
    return signature


async def _read(request: web.BaseRequest) -> Posted:
    """The request with its body, which is not read for anybody who did not even sign."""
    if request.method != "POST":
        raise Answer(405, "method", "POST only")
    headers = request.headers
    content_type, signature = headers.get(hdrs.CONTENT_TYPE, ""), headers.get(SIGNATURE_HEADER)
    _checked(content_type, signature)
    if hdrs.CONTENT_ENCODING in headers:
        raise Answer(415, "content_type", "the body must not be compressed: Twilio's never is")
    settings = headers.get(SETTINGS_HEADER, "")
    return Posted(request.raw_path, content_type, signature, settings, await _body(request))


async def _body(request: web.BaseRequest) -> bytes:
    """The body, within its bound and time."""
    length = request.content_length
    if length is not None and length > MAX_BODY:
        raise Answer(413, "too_large", f"the body has {length} bytes, and at most {MAX_BODY} are taken")
    content = request.content
    if content.is_eof():
        return content.read_nowait()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await content.readany():
                body += chunk
                if len(body) > MAX_BODY:
                    raise Answer(413, "too_large", f"the body has more than {MAX_BODY} bytes")
    except TimeoutError:
        raise Answer(408, "too_slow", f"the body did not come within {BODY_SECONDS:g} seconds") from None
    except web.RequestPayloadError:
        raise Answer(400, "invalid", "the body ended early") from None
    return bytes(body)
