"""Twilio accounts: what belongs to one is read once for all its connectors, and kept for an interval."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from switchboard.api.connector import TwilioConnector
from switchboard.controller import metrics
from switchboard.providers.errors import NotFoundError, ProviderError, UnavailableError
from switchboard.providers.twilio import resources as twilio
from switchboard.providers.twilio.api import TwilioConnections
from switchboard.providers.twilio.client import TwilioClient
from switchboard.providers.twilio.credentials import Credentials
from switchboard.reconcile.twilio import Account, Carrier, Found, Kind, Number, Sender, Service
from switchboard.reconcile.webhooks import WHATSAPP_SANDBOX

T = TypeVar("T")

UNUSED = 3600.0
"""Seconds after which an account is forgotten that nobody asked for: a token that was replaced is not kept for ever."""
LOOK_AGAIN = 5.0
"""Seconds for which a list counts where something is not in it: it may just have been bought."""


@dataclass(slots=True)
class _Cached:
    read: float
    value: object


@dataclass(slots=True)
class Pool:
    """One account: its client, and what was read of it."""

    client: TwilioClient
    account: Account
    cache: dict[str, _Cached] = field(default_factory=dict)
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    blocked_until: float = 0.0
    blocked: UnavailableError | None = None
    used: float = 0.0

    async def once(self, what: str, read: Callable[[], Awaitable[T]], max_age: float) -> T:
        """What `read` gives, read at most once in `max_age` seconds and never twice at a time."""
        async with self.locks.setdefault(what, asyncio.Lock()):
            known = self.cache.get(what)
            if known is not None and time.monotonic() - known.read < max_age:
                return known.value  # type: ignore[return-value]
            value = await self.ask(what, read)
            self.cache[what] = _Cached(time.monotonic(), value)
            return value

    async def ask(self, what: str, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` gives. While Twilio asks to be left alone, the same error again, and no request."""
        if self.blocked is not None and time.monotonic() < self.blocked_until:
            raise self.blocked
        operation = what.partition("/")[0]
        try:
            value = await read()
        except UnavailableError as error:
            metrics.TWILIO_REQUESTS.labels(operation, "unavailable").inc()
            if error.retry_after:
                self.blocked, self.blocked_until = error, time.monotonic() + error.retry_after
            raise
        except ProviderError:
            metrics.TWILIO_REQUESTS.labels(operation, "rejected").inc()
            raise
        metrics.TWILIO_REQUESTS.labels(operation, "done").inc()
        return value

    def update(self, what: str, name: str, kind: type[T], change: Callable[[T], T]) -> None:
        """Changes one entry of a list that was read, if it is known."""
        known = self.cache.get(what)
        if known is not None and isinstance(known.value, dict) and isinstance(entry := known.value.get(name), kind):
            known.value[name] = change(entry)

    def age(self, what: str) -> float:
        """Seconds since something was read."""
        known = self.cache.get(what)
        return time.monotonic() - known.read if known is not None else float("inf")


class Accounts:
    """All accounts that connectors use. Raises `providers.errors.ProviderError`."""

    def __init__(self, connections: TwilioConnections) -> None:
        self._connections = connections
        self._pools: dict[tuple[Credentials, str], Pool] = {}
        self._opening: dict[tuple[Credentials, str], asyncio.Lock] = {}
        self._tidied = time.monotonic()

    async def open(self, credentials: Credentials, base_url: str, max_age: float) -> Pool:
        """The account that the credentials belong to, once they were seen to work within `max_age` seconds."""
        key = (credentials, base_url)
        self._tidy()
        async with self._opening.setdefault(key, asyncio.Lock()):
            pool = self._pools.get(key)
            if pool is None:
                client = TwilioClient(self._connections, credentials, base_url=base_url)
                pool = Pool(client, Account(credentials.account_sid))
            pool.used = time.monotonic()
            try:
                known = await pool.once("account", pool.client.probe, max_age)
            except UnavailableError:
                raise
            except ProviderError:
                self._pools.pop(key, None)
                raise
            pool.account = Account(known.sid, known.friendly_name, known.status)
            self._pools[key] = pool
            return pool

    def _tidy(self) -> None:
        """Forgets, now and then, the accounts that nobody asks for any more."""
        now = time.monotonic()
        if now - self._tidied < UNUSED / 6:
            return
        self._tidied = now
        for key in [key for key, pool in self._pools.items() if now - pool.used > UNUSED]:
            del self._pools[key]
        for key in [key for key, lock in self._opening.items() if key not in self._pools and not lock.locked()]:
            del self._opening[key]


async def find(pool: Pool, connector: TwilioConnector, max_age: float) -> Found:
    """What the account holds of what a connector asks for."""
    spec = connector.spec
    number: Number | None = None
    number_service: Service | None = None
    service: Service | None = None
    similar: tuple[str, ...] = ()
    if "SMS" in spec.channels:
        if spec.from_number is not None:
            number, similar = await _number(pool, spec.from_number, max_age)
        services = await pool.once("services", lambda: _services(pool), max_age)
        if number is not None:
            number_service = next((it for it in services.values() if number.carrier.sid in it.numbers), None)
        if spec.from_number is None and spec.messaging_service_sid is not None:
            service = services.get(spec.messaging_service_sid)
            if service is None and pool.age("services") > LOOK_AGAIN:
                services = await pool.once("services", lambda: _services(pool), LOOK_AGAIN)
                service = services.get(spec.messaging_service_sid)
    sender: Sender | None = None
    if "WhatsApp" in spec.channels and spec.from_number not in (None, WHATSAPP_SANDBOX):
        wanted = f"whatsapp:{spec.from_number}"
        senders = await pool.once("senders", lambda: _senders(pool), max_age)
        if wanted not in senders and pool.age("senders") > LOOK_AGAIN:
            senders = await pool.once("senders", lambda: _senders(pool), LOOK_AGAIN)
        sender = senders.get(wanted)
    return Found(number, number_service, service, sender, similar)


async def _number(pool: Pool, wanted: str, max_age: float) -> tuple[Number | None, tuple[str, ...]]:
    numbers = await pool.once("numbers", lambda: _numbers(pool), max_age)
    if wanted not in numbers and pool.age("numbers") > LOOK_AGAIN:
        numbers = await pool.once("numbers", lambda: _numbers(pool), LOOK_AGAIN)
    found = numbers.get(wanted)
    if found is None:
        return None, tuple(sorted(numbers))[:3]
    application: Carrier | None = None
    users: tuple[str, ...] = ()
    if sid := found.sms_application_sid:
        application = await pool.once(f"application/{sid}", lambda: _application(pool, sid), max_age)
        users = tuple(it.sid for it in numbers.values() if it.sms_application_sid == sid)
    if application is None:
        users = ()
    capabilities = {"SMS": found.capabilities.sms, "MMS": found.capabilities.mms, "Voice": found.capabilities.voice}
    able = tuple(name for name, can in capabilities.items() if can)
    return Number(_number_carrier(found), wanted, able, application, users), ()


async def _numbers(pool: Pool) -> dict[str, twilio.PhoneNumber]:
    return {number.phone_number: number for number in await pool.client.list_numbers()}


async def _application(pool: Pool, sid: str) -> Carrier | None:
    try:
        return _application_carrier(await pool.client.read_application(sid))
    except NotFoundError:
        return None  # a number that names an application that is gone uses its own URL


async def _services(pool: Pool) -> dict[str, Service]:
    result = {}
    for service in await pool.client.list_services():
        numbers = tuple(number.sid for number in await pool.client.list_service_numbers(service.sid))
        result[service.sid] = Service(_service_carrier(service), service.use_inbound_webhook_on_number, numbers)
    return result


async def _senders(pool: Pool) -> dict[str, Sender]:
    return {
        sender.sender_id: Sender(
            _sender_carrier(sender), sender.status, tuple(reason.message for reason in sender.offline_reasons)
        )
        for sender in await pool.client.list_senders()
    }


def _number_carrier(number: twilio.PhoneNumber) -> Carrier:
    return Carrier(Kind.NUMBER, number.sid, number.phone_number, number.sms_url, number.sms_method or "POST")


def _application_carrier(application: twilio.Application) -> Carrier:
    title = application.friendly_name
    return Carrier(Kind.APPLICATION, application.sid, title, application.sms_url, application.sms_method or "POST")


def _service_carrier(service: twilio.MessagingService) -> Carrier:
    title = service.friendly_name
    return Carrier(Kind.SERVICE, service.sid, title, service.inbound_request_url, service.inbound_method or "POST")


def _sender_carrier(sender: twilio.Sender) -> Carrier:
    title, webhook = sender.sender_id.removeprefix("whatsapp:"), sender.webhook
    return Carrier(Kind.SENDER, sender.sid, title, webhook.callback_url, webhook.callback_method or "POST")


async def read(pool: Pool, kind: Kind, sid: str) -> Carrier | None:
    """A carrier as it is right now; None if the account has no such thing."""

    async def fresh() -> Carrier:
        match kind:
            case Kind.NUMBER:
                return _number_carrier(await pool.client.read_number(sid))
            case Kind.APPLICATION:
                return _application_carrier(await pool.client.read_application(sid))
            case Kind.SERVICE:
                return _service_carrier(await pool.client.read_service(sid))
            case Kind.SENDER:
                return _sender_carrier(await pool.client.read_sender(sid))

    try:
        return await pool.ask("read", fresh)
    except NotFoundError:
        return None


async def write(pool: Pool, kind: Kind, sid: str, url: str, method: str = "POST") -> Carrier:
    """Sets a carrier's webhook, an empty URL clears it; the carrier as it then is. A fallback URL stays."""

    async def setting() -> Carrier:
        client = pool.client
        match kind:
            case Kind.NUMBER:
                return _number_carrier(await client.update_number(sid, sms_url=url, sms_method=method))
            case Kind.APPLICATION:
                return _application_carrier(await client.update_application(sid, sms_url=url, sms_method=method))
            case Kind.SERVICE:
                return _service_carrier(await client.update_service(sid, inbound_url=url, inbound_method=method))
            case Kind.SENDER:
                sender = await client.read_sender(sid)
                updated = await client.update_sender(sender, callback_url=url, callback_method=method)
                return _sender_carrier(updated)

    written = await pool.ask("write", setting)
    _remember(pool, written)
    return written


def _remember(pool: Pool, carrier: Carrier) -> None:
    """Puts what was written into what was read, so that the next connector of the account sees it."""
    pool.cache.pop(f"application/{carrier.sid}", None)
    match carrier.kind:
        case Kind.NUMBER:
            pool.update("numbers", carrier.name, twilio.PhoneNumber, lambda it: _with_webhook(it, carrier))
        case Kind.SERVICE:
            pool.update("services", carrier.sid, Service, lambda it: replace(it, carrier=carrier))
        case Kind.SENDER:
            pool.update("senders", f"whatsapp:{carrier.name}", Sender, lambda it: replace(it, carrier=carrier))
        case Kind.APPLICATION:
            pass


def _with_webhook(number: twilio.PhoneNumber, carrier: Carrier) -> twilio.PhoneNumber:
    return number.model_copy(update={"sms_url": carrier.url, "sms_method": carrier.method})


def credentials_of(values: Mapping[str, str]) -> Credentials:
    """Credentials from a Secret's values. Raises ValueError that names the key."""
    return Credentials(
        values["accountSid"],
        values["authToken"],
        values["previousAuthToken"],
        values["apiKeySid"],
        values["apiKeySecret"],
    )
