"""Where at Twilio a connector's webhook has to stand, and what has to be written there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit

from switchboard.api.connector import TwilioConnector
from switchboard.api.meta import Channel
from switchboard.api.reasons import ConnectorReason
from switchboard.api.runtime import OVERRIDES
from switchboard.reconcile.outcome import Mend, Problem
from switchboard.reconcile.twilio import Account, Carrier, Found, Kind, Number, Sender, Service

WHATSAPP_SANDBOX = "+14155238886"
"""Twilio's shared WhatsApp number for trying out; its webhook is set in the console by hand."""

_OURS = re.compile(r"/twilio/[^/]+/[^/]+$")


@dataclass(frozen=True, slots=True)
class Place:
    """What a channel needs at Twilio: what carries its webhook, or why there is nothing to write to."""

    channel: Channel
    carrier: Carrier | None = None
    claim: str | None = None
    """Which number, service or sender is held by whoever has this place."""
    problem: Problem | None = None
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """A webhook to set. `previous` is what stands there now."""

    channel: Channel
    carrier: Carrier
    url: str
    repair: bool
    """It stood there before, and somebody changed it."""


def places(connector: TwilioConnector, account: Account, found: Found, url: str | None) -> list[Place]:
    """What each channel of a connector needs, in the manifest's order. `url`: what has to stand there, if known."""
    return [
        _sms(connector, account, found, url) if channel == "SMS" else _whatsapp(connector, account, found)
        for channel in connector.spec.channels
    ]


def _sms(connector: TwilioConnector, account: Account, found: Found, url: str | None) -> Place:
    number = connector.spec.from_number
    if number is None:
        return _service_alone(connector, account, found, url)
    if found.number is None:
        return Place("SMS", problem=_number_missing(number, account, found))
    claim = f"{account.sid}/{found.number.carrier.sid}"
    if "SMS" not in found.number.capabilities:
        can = ", ".join(found.number.capabilities) or "nothing"
        message = f"{number} cannot do SMS (it can do: {can}). Use a number that can."
        return Place("SMS", claim=claim, problem=Problem(ConnectorReason.NUMBER_NOT_CAPABLE, message))
    carrier = _effective(connector, found.number, found.number_service, url)
    if isinstance(carrier, Problem):
        return Place("SMS", claim=claim, problem=carrier)
    return Place("SMS", carrier, claim)


def _number_missing(number: str, account: Account, found: Found) -> Problem:
    has = f"It has {', '.join(found.similar)}. " if found.similar else ""
    title = f"{account.name} ({account.sid})" if account.name else account.sid
    message = (
        f"The Twilio account {title} has no number {number}. {has}Set spec.fromNumber to a number of this account, or "
        "spec.credentials to the account that has it."
    )
    return Problem(ConnectorReason.NUMBER_NOT_FOUND, message)


def _effective(
    connector: TwilioConnector, number: Number, service: Service | None, url: str | None
) -> Carrier | Problem:
    """What carries the webhook of an SMS to this number.

    A messaging service goes before an application, and that before the number's own URL:
    https://www.twilio.com/docs/messaging/services#inbound-settings
    """
    allowed = connector.spec.webhook_scope == "Service"
    if service is not None and not service.defers:
        alone = set(service.numbers) <= {number.carrier.sid}
        if (allowed and alone) or same_address(service.carrier.url, url):
            return service.carrier
        return _overridden_by_service(connector, service, alone=alone)
    if number.application is not None:
        alone = set(number.application_numbers) <= {number.carrier.sid}
        if (allowed and alone) or same_address(number.application.url, url):
            return number.application
        return _overridden_by_application(connector, number.application, alone=alone)
    return number.carrier


def _overridden_by_service(connector: TwilioConnector, service: Service, *, alone: bool) -> Problem:
    console = (
        "in Twilio's console, under Messaging > Services > "
        f"{service.carrier.name or service.carrier.sid} > Integration, choose “Defer to sender's webhook”"
    )
    if alone:
        or_scope = ", or set spec.webhookScope: Service so that the service's own webhook may be written"
    else:
        or_scope = f"; its webhook is shared with {len(service.numbers) - 1} other numbers and is not written"
    message = (
        f"{connector.spec.from_number} sits in {service.carrier.title}, whose webhook goes before the number's: "
        f"{console}{or_scope}."
    )
    return Problem(ConnectorReason.WEBHOOK_OVERRIDDEN_BY_SERVICE, message)


def _overridden_by_application(connector: TwilioConnector, application: Carrier, *, alone: bool) -> Problem:
    console = (
        f"in Twilio's console, under Phone Numbers > {connector.spec.from_number} > Messaging Configuration, change "
        "“Configure with” from TwiML App to Webhook"
    )
    or_scope = (
        ", or set spec.webhookScope: Service so that the application's own webhook may be written"
        if alone
        else "; its webhook is shared with other numbers and is not written"
    )
    message = f"{connector.spec.from_number} uses {application.title}, whose webhook goes first: {console}{or_scope}."
    return Problem(ConnectorReason.WEBHOOK_OVERRIDDEN_BY_APPLICATION, message)


def _service_alone(connector: TwilioConnector, account: Account, found: Found, url: str | None) -> Place:
    """A connector that names a messaging service and no number."""
    sid = connector.spec.messaging_service_sid
    service = found.service
    if service is None:
        message = (
            f"The Twilio account {account.sid} has no messaging service {sid}. Set spec.messagingServiceSid to one of "
            "this account."
        )
        return Place("SMS", problem=Problem(ConnectorReason.NUMBER_NOT_FOUND, message))
    claim = f"{account.sid}/{service.carrier.sid}"
    if service.defers:
        message = (
            f"{service.carrier.title} leaves incoming messages to its numbers' own webhooks. Set spec.fromNumber to "
            "the number that people text."
        )
        return Place("SMS", claim=claim, problem=Problem(ConnectorReason.WEBHOOK_OVERRIDDEN_BY_SERVICE, message))
    if connector.spec.webhook_scope != "Service" and not same_address(service.carrier.url, url):
        message = (
            f"Without spec.fromNumber the webhook of {service.carrier.title} has to be written: set spec.webhookScope: "
            "Service if that is meant."
        )
        return Place("SMS", claim=claim, problem=Problem(ConnectorReason.WEBHOOK_OVERRIDDEN_BY_SERVICE, message))
    return Place("SMS", service.carrier, claim)


def _whatsapp(connector: TwilioConnector, account: Account, found: Found) -> Place:
    number = connector.spec.from_number or ""
    if number == WHATSAPP_SANDBOX:
        return Place("WhatsApp", by_hand=True)
    sender = found.sender
    if sender is None:
        message = (
            f"The Twilio account {account.sid} has no WhatsApp sender {number}. Register it in Twilio's console under "
            "Messaging > Senders > WhatsApp senders, or take WhatsApp out of spec.channels."
        )
        return Place("WhatsApp", problem=Problem(ConnectorReason.SENDER_NOT_FOUND, message))
    claim = f"{account.sid}/{sender.carrier.sid}"
    if not sender.online:
        return Place("WhatsApp", sender.carrier, claim, problem=_offline(number, sender))
    return Place("WhatsApp", sender.carrier, claim)


def _offline(number: str, sender: Sender) -> Problem:
    why = f" Twilio says: {'; '.join(sender.offline_reasons)}" if sender.offline_reasons else ""
    message = (
        f"The WhatsApp sender {number} is {sender.status} and cannot receive. See Twilio's console under Messaging > "
        f"Senders > WhatsApp senders.{why}"
    )
    return Problem(ConnectorReason.SENDER_OFFLINE, message, Mend.WAIT)


def same_address(url: str, other: str | None) -> bool:
    """Whether two URLs are the same but for connection overrides, the case of scheme and host, and a default port."""
    return bool(url) and other is not None and _address(url) == _address(other)


def _address(url: str) -> tuple[str, str, str, str]:
    parts = _parts(url)
    try:
        port = parts.port
    except ValueError:
        return "", "", url, ""
    scheme, user = parts.scheme.lower(), parts.netloc.rpartition("@")[0]
    host = (parts.hostname or "") + (f":{port}" if port and port != {"https": 443, "http": 80}.get(scheme) else "")
    return scheme, f"{user}@{host}", parts.path or "/", parts.query


def _parts(url: str) -> SplitResult:
    """A URL's parts. What stands at Twilio need not be one: it is then all path, and nobody's."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", url, "", "")


def _overrides(url: str) -> dict[str, str | frozenset[str]]:
    """A fragment's settings; their order, and that of the policy's words, does not matter."""
    settings: dict[str, str | frozenset[str]] = dict(parse_qsl(url.partition("#")[2]))
    if isinstance(policy := settings.get("rp"), str):
        settings["rp"] = frozenset(policy.split(","))
    return settings


def points_here(url: str, connector: TwilioConnector) -> bool:
    """Whether a URL leads to this connector, whatever its host and connection overrides."""
    path = f"/twilio/{connector.metadata.namespace}/{connector.metadata.name}"
    return _parts(url).path.endswith(path)


def is_switchboard(url: str) -> bool:
    """Whether a URL leads to a Switchboard, this or another: nothing that anybody wants back."""
    parts = _parts(url)
    return bool(_OURS.search(parts.path)) and f"#{parts.fragment}" == OVERRIDES


def registered(carrier: Carrier, url: str) -> bool:
    """Whether a webhook is as it should be, method and connection overrides included.

    What Twilio keeps of a sender's URL after the `#` is not documented; one without overrides is taken as ours there.
    """
    if carrier.method.upper() != "POST":
        return False
    if carrier.url == url:  # nearly always, and what follows costs as much as all else that is decided
        return True
    if not same_address(carrier.url, url):
        return False
    overrides = _overrides(carrier.url)
    return overrides == _overrides(url) or (carrier.kind is Kind.SENDER and not overrides)


def writes(
    connector: TwilioConnector, found: list[Place], url: str, before: Mapping[tuple[Channel, str], str]
) -> list[Write]:
    """What has to be written at Twilio.

    Args:
        connector: The connector.
        found: Its places.
        url: What has to stand there.
        before: What was registered according to the status, by channel and SID, without connection overrides.
    """
    wanted = url.partition("#")[0]
    return [
        Write(place.channel, place.carrier, url, before.get((place.channel, place.carrier.sid)) == wanted)
        for place in found
        if place.carrier is not None and place.problem is None and not registered(place.carrier, url)
    ]


def host_of(url: str) -> str:
    """What may be shown of a URL that is not ours: it may carry a password or a key."""
    parts = _parts(url)
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else ""
