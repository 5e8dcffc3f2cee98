"""What Twilio posts: an inbound message, or news of one that was sent.

Source: https://www.twilio.com/docs/messaging/guides/webhook-request. Twilio adds parameters without notice: what is not
known is kept and nothing fails on it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from switchboard.providers.base import (
    Button,
    Channel,
    DeliveryState,
    DeliveryUpdate,
    InboundMessage,
    Location,
    Media,
    Quote,
)
from switchboard.providers.errors import InvalidWebhookError
from switchboard.providers.twilio.codes import describe
from switchboard.providers.twilio.opt_out import keyword

PROVIDER = "twilio"
EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""The answer that sends nothing. An empty body can raise error 11200, and text/plain would be texted to the person."""
TWIML_TYPE = "text/xml"

_WHATSAPP = "whatsapp:"
_MAX_MEDIA = 10
_SID_LENGTH = 34
"""Characters of a SID. What is signed is keys and values run together, so that whoever got hold of a signed request
could make another id of the same text: `MessageSid=SM…` and `NumMedia=0` sign as `MessageSid=SM…NumMedia0` does."""


class Address(NamedTuple):
    """A channel and the address in it, without Twilio's prefix."""

    channel: Channel
    number: str


def parse_address(value: str) -> Address:
    """`+15550001111` or `whatsapp:+15550001111`. Raises ValueError on any other channel's (messenger:, rcs:, …)."""
    if value.startswith(_WHATSAPP):
        return Address(Channel.WHATSAPP, value[9:])
    if ":" in value:
        raise ValueError(f"the channel {value.partition(':')[0][:20]!r} is not one of SMS, WhatsApp")
    return Address(Channel.SMS, value)


def format_address(channel: Channel, number: str) -> str:
    """The address as Twilio's API takes it."""
    return _WHATSAPP + number if channel is Channel.WHATSAPP else number


def parse_message(pairs: list[tuple[str, str]]) -> InboundMessage:
    """The message in an incoming-message webhook's parameters. `pairs` is kept in it, not copied.

    Raises InvalidWebhookError if the message's id, account, sender or recipient is missing, or the channel is another.
    """
    parameters = dict(pairs)
    get = parameters.get
    message_id = _message_id(get("MessageSid") or get("SmsMessageSid") or get("SmsSid") or "")
    account = get("AccountSid", "")
    if not account:
        raise InvalidWebhookError("the parameter AccountSid is missing")
    channel, sender = _address(parameters, "From")
    _, recipient = _address(parameters, "To")
    body = get("Body", "")
    opt_out_type = get("OptOutType", "")
    message = InboundMessage(PROVIDER, account, message_id, channel, sender, recipient, body)
    message.parameters = pairs
    message.contact_name = get("ProfileName", "")
    message.keyword = keyword(channel, body, opt_out_type)
    message.keyword_confirmed = bool(opt_out_type) and message.keyword is not None
    if get("NumMedia", "0") != "0":
        message.media = _media(parameters)
    if channel is Channel.WHATSAPP:
        _add_whatsapp(message, parameters)
    return message


def _message_id(value: str) -> str:
    if not value:
        raise InvalidWebhookError("the parameter MessageSid is missing")
    if len(value) > _SID_LENGTH or not (value.isascii() and value.isalnum()):
        raise InvalidWebhookError(f"the parameter MessageSid is no SID: {_SID_LENGTH} letters and digits")
    return value


def _address(parameters: Mapping[str, str], name: str) -> Address:
    value = parameters.get(name, "")
    if not value:
        raise InvalidWebhookError(f"the parameter {name} is missing")
    try:
        return parse_address(value)
    except ValueError as error:
        raise InvalidWebhookError(f"the parameter {name}: {error}") from None


def _media(parameters: Mapping[str, str]) -> list[Media]:
    """Counted by what is there: a wrong NumMedia neither hides a file nor makes us look for a million."""
    media = []
    for index in range(_MAX_MEDIA):
        url = parameters.get(f"MediaUrl{index}")
        if not url:
            break
        media.append(Media(url, parameters.get(f"MediaContentType{index}", "application/octet-stream")))
    return media


def _add_whatsapp(message: InboundMessage, parameters: Mapping[str, str]) -> None:
    get = parameters.get
    if get("Latitude"):
        message.location = _location(parameters)
    if get("ButtonText") or get("ButtonPayload"):
        message.button = Button(get("ButtonText", ""), get("ButtonPayload", ""))
    if quoted := get("OriginalRepliedMessageSid"):
        message.reply_to = Quote(quoted, get("OriginalRepliedMessageSender", "").removeprefix(_WHATSAPP))
    message.forwarded = get("Forwarded") == "true" or get("FrequentlyForwarded") == "true"


def _location(parameters: Mapping[str, str]) -> Location | None:
    get = parameters.get
    try:
        latitude, longitude = float(get("Latitude", "")), float(get("Longitude", ""))
    except ValueError:
        return None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):  # also what is not a number
        return None
    return Location(latitude, longitude, get("Address", ""), get("Label", ""))


_STATES = {
    "accepted": DeliveryState.QUEUED,
    "scheduled": DeliveryState.QUEUED,
    "queued": DeliveryState.QUEUED,
    "sending": DeliveryState.SENDING,
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "partially_delivered": DeliveryState.DELIVERED,
    "undelivered": DeliveryState.UNDELIVERED,
    "failed": DeliveryState.FAILED,
    "canceled": DeliveryState.CANCELED,
    "read": DeliveryState.READ,
}


def delivery_state(status: str) -> DeliveryState | None:
    """Twilio's word for where an outbound message is; None for an inbound one's or a word that is not known."""
    return _STATES.get(status.strip().lower())


def parse_delivery(pairs: list[tuple[str, str]]) -> DeliveryUpdate | None:
    """The news in a status callback's parameters; None if it names a status that is not known, which is no failure.

    Raises InvalidWebhookError without a message's id or a status.
    """
    parameters = dict(pairs)
    message_id = _message_id(parameters.get("MessageSid") or parameters.get("SmsSid") or "")
    read = parameters.get("EventType", "").upper() == "READ"
    status = "read" if read else parameters.get("MessageStatus") or parameters.get("SmsStatus") or ""
    if not status:
        raise InvalidWebhookError("the parameter MessageStatus is missing")
    state = delivery_state(status)
    if state is None:
        return None
    code = parameters.get("ErrorCode", "")
    number = int(code) if code.isascii() and code.isdigit() and len(code) <= 9 else 0
    if not number:
        return DeliveryUpdate(message_id, state)
    return DeliveryUpdate(message_id, state, number, describe(number))
