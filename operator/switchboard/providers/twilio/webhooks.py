"""What a webhook looks like at Twilio once it is registered, and how far what is there is from it. Pure.

The URL carries connection overrides in its fragment, so that Twilio has the time to try again within its 15 seconds: by
default it waits that long for one answer. The fragment is not part of what is signed.
Source: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urldefrag, urlsplit

from switchboard.providers.twilio.resources import Application, MessagingService, PhoneNumber, Sender

OVERRIDES = "ct=2000&rt=3000&rc=5&rp=ct,rt,5xx"
"""Two seconds to connect, three to answer, five retries, after failed connections, time-outs and 5xx."""

METHOD = "POST"


class Drift(StrEnum):
    """How a webhook at Twilio differs from the one that is wanted."""

    NOT_SET = "NotSet"
    OTHER_URL = "OtherURL"
    OTHER_OVERRIDES = "OtherOverrides"
    OTHER_METHOD = "OtherMethod"
    OVERRIDDEN_BY_APPLICATION = "OverriddenByApplication"
    OVERRIDDEN_BY_SERVICE = "OverriddenByService"


class Holder(StrEnum):
    """The kind of resource whose webhook counts for a number."""

    NUMBER = "PhoneNumber"
    APPLICATION = "Application"
    SERVICE = "MessagingService"
    SENDER = "Sender"


@dataclass(frozen=True, slots=True)
class Finding:
    """What Twilio calls for a number on a channel: whose webhook it is, and its drift (None: it is the wanted one)."""

    holder: Holder
    sid: str
    url: str
    """As it is. It may carry a password: show `host_of` it."""
    drift: Drift | None
    sentence: str = ""
    """With the setting to change where somebody else's resource overrides the number's."""


def registered_url(url: str) -> str:
    """The URL to write at Twilio for the public address `url`."""
    return f"{urldefrag(url).url}#{OVERRIDES}"


def is_ours(current: str, url: str) -> bool:
    """Whether `current`, as read at Twilio, calls the public address `url`, whatever its overrides."""
    return bool(current) and _address(current) == _address(url)


def host_of(url: str) -> str:
    """The host of a URL, for people to read; nothing of its user information, path or query. Empty if it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def compare(current: str, method: str, url: str) -> Drift | None:
    """How the webhook `current`, called with `method`, differs from the registered form of `url`."""
    if not current:
        return Drift.NOT_SET
    if not is_ours(current, url):
        return Drift.OTHER_URL
    if method != METHOD:
        return Drift.OTHER_METHOD
    wanted = urlsplit(registered_url(url)).fragment
    return None if _overrides(urlsplit(current).fragment) == _overrides(wanted) else Drift.OTHER_OVERRIDES


def find_sms(
    number: PhoneNumber, url: str, *, application: Application | None = None, service: MessagingService | None = None
) -> Finding:
    """What Twilio calls for a text to `number`, against the public address `url`.

    `application`: the one that `number.sms_application_sid` names; `service`: the one that the number sits in. This one
    comes first unless it defers to the number, and then an application takes the place of the number's own URL.
    """
    if service is not None and not service.use_inbound_webhook_on_number:
        drift = compare(service.inbound_request_url, service.inbound_method, url)
        return Finding(
            Holder.SERVICE,
            service.sid,
            service.inbound_request_url,
            drift and _overridden(drift, service.inbound_request_url, url, Drift.OVERRIDDEN_BY_SERVICE),
            ""
            if drift is None
            else f"Messaging service {service.sid} takes the texts of its numbers: under its Integration, choose "
            '"Defer to sender\'s webhook" (use_inbound_webhook_on_number), or take the number out of it.',
        )
    if application is not None:
        drift = compare(application.sms_url, application.sms_method, url)
        return Finding(
            Holder.APPLICATION,
            application.sid,
            application.sms_url,
            drift and _overridden(drift, application.sms_url, url, Drift.OVERRIDDEN_BY_APPLICATION),
            ""
            if drift is None
            else f"TwiML application {application.sid} takes the number's texts: take it off the number's Messaging "
            "configuration (SmsApplicationSid).",
        )
    drift = compare(number.sms_url, number.sms_method, url)
    return Finding(Holder.NUMBER, number.sid, number.sms_url, drift, _TEXTS[drift] if drift else "")


def find_whatsapp(sender: Sender, url: str, status_url: str = "") -> Finding:
    """What Twilio calls for a WhatsApp message to `sender`. `status_url`: where news of delivery should go, if set."""
    webhook = sender.webhook
    drift = compare(webhook.callback_url, webhook.callback_method or METHOD, url)
    if drift is None and status_url and not is_ours(webhook.status_callback_url, status_url):
        drift = Drift.OTHER_URL
    return Finding(Holder.SENDER, sender.sid, webhook.callback_url, drift, _TEXTS[drift] if drift else "")


_TEXTS = {
    Drift.NOT_SET: "No webhook was set.",
    Drift.OTHER_URL: "The webhook was another URL.",
    Drift.OTHER_OVERRIDES: "The webhook's connection overrides were others.",
    Drift.OTHER_METHOD: "The webhook was not called with POST.",
}


def _overridden(drift: Drift, current: str, url: str, by: Drift) -> Drift:
    """Ours with another method or fragment is ours to mend; anything else is somebody's."""
    return drift if is_ours(current, url) else by


def _address(url: str) -> tuple[str, str, str, str]:
    """What two spellings of one address have in common: case of scheme and host, and a default port, do not matter."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", "", url, ""
    scheme = parts.scheme.lower()
    host = (parts.hostname or "") + (f":{port}" if port and port != {"https": 443, "http": 80}.get(scheme) else "")
    user = parts.netloc.rpartition("@")[0]
    return scheme, f"{user}@{host}", parts.path or "/", parts.query


def _overrides(fragment: str) -> dict[str, str | frozenset[str]]:
    """A fragment's settings; their order, and that of the policy's words, does not matter."""
    settings: dict[str, str | frozenset[str]] = dict(parse_qsl(fragment))
    if isinstance(policy := settings.get("rp"), str):
        settings["rp"] = frozenset(policy.split(","))
    return settings
