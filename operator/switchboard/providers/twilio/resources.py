"""What Twilio's API answers, as far as Switchboard reads it. Fields that are not here are dropped: the auth token is.

Source: Twilio's OpenAPI documents, https://github.com/twilio/twilio-oai.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from switchboard.providers.base import Media


def _date(value: object) -> object:
    """v2010 writes RFC 2822 dates, the newer APIs ISO 8601 ones, which pydantic reads."""
    if isinstance(value, str) and value and not value[0].isdigit():
        date = parsedate_to_datetime(value)
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    return value or None


def _text(value: object) -> object:
    return "" if value is None else value


def _number(value: object) -> object:
    return 0 if value in {None, ""} else value


Date = Annotated[datetime | None, BeforeValidator(_date)]
Text = Annotated[str, BeforeValidator(_text)]
Count = Annotated[int, BeforeValidator(_number)]


class Resource(BaseModel):
    """An answer: immutable, tolerant of fields that Twilio adds and of null where it has nothing to say."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Account(Resource):
    """`status` and `type` are empty when an API key asked, which may not read the account itself."""

    sid: str
    friendly_name: Text = ""
    status: Text = ""
    type: Text = ""

    @property
    def usable(self) -> bool:
        return self.status in {"", "active"}


class Capabilities(Resource):
    sms: bool = False
    mms: bool = False
    voice: bool = False


class PhoneNumber(Resource):
    """An incoming phone number. `sms_application_sid`, if set, makes every `sms_*` URL do nothing."""

    sid: str
    account_sid: Text = ""
    phone_number: Text = ""
    friendly_name: Text = ""
    capabilities: Capabilities = Capabilities()
    sms_url: Text = ""
    sms_method: Text = ""
    sms_fallback_url: Text = ""
    sms_fallback_method: Text = ""
    sms_application_sid: Text = ""
    status_callback: Text = ""


class Application(Resource):
    """A TwiML application: numbers that name it take their webhook from here."""

    sid: str
    friendly_name: Text = ""
    sms_url: Text = ""
    sms_method: Text = ""
    sms_fallback_url: Text = ""
    sms_fallback_method: Text = ""


class MessagingService(Resource):
    """A pool of numbers. Its webhook applies to them unless `use_inbound_webhook_on_number`."""

    sid: str
    friendly_name: Text = ""
    inbound_request_url: Text = ""
    inbound_method: Text = ""
    fallback_url: Text = ""
    fallback_method: Text = ""
    status_callback: Text = ""
    use_inbound_webhook_on_number: bool = False


class ServiceNumber(Resource):
    """A number that sits in a messaging service; `sid` is the number's own."""

    sid: str
    service_sid: Text = ""
    phone_number: Text = ""


class SenderWebhook(Resource):
    callback_url: Text = ""
    callback_method: Text = ""
    fallback_url: Text = ""
    fallback_method: Text = ""
    status_callback_url: Text = ""
    status_callback_method: Text = ""


class OfflineReason(Resource):
    code: Text = ""
    message: Text = ""


def _webhook(value: object) -> object:
    return {} if value is None else value


def _reasons(value: object) -> object:
    return [] if value is None else value


class Sender(Resource):
    """A WhatsApp sender: `sender_id` is `whatsapp:+E164`, `status` ONLINE when it can send and receive."""

    sid: str
    sender_id: Text = ""
    status: Text = ""
    webhook: Annotated[SenderWebhook, BeforeValidator(_webhook)] = SenderWebhook()
    offline_reasons: Annotated[list[OfflineReason], BeforeValidator(_reasons)] = []

    @property
    def online(self) -> bool:
        """ONLINE, or ONLINE:UPDATING, in which it still works."""
        return self.status.startswith("ONLINE")


class Message(Resource):
    """A message as the API lists it, of either direction; addresses carry their channel's prefix."""

    sid: str
    account_sid: Text = ""
    from_: Text = Field(default="", alias="from")
    to: Text = ""
    body: Text = ""
    direction: Text = ""
    status: Text = ""
    messaging_service_sid: Text = ""
    num_media: Count = 0
    num_segments: Count = 0
    error_code: int | None = None
    error_message: Text = ""
    date_created: Date = None
    date_sent: Date = None

    @property
    def inbound(self) -> bool:
        return self.direction == "inbound"


class MediaItem(Resource):
    """A file of a message; `uri` is relative to the API and ends with `.json`, the file itself is without it."""

    sid: str
    content_type: Text = ""
    uri: Text = ""

    def media(self, base_url: str) -> Media:
        """The file, for a download, at the API of `base_url`."""
        return Media(base_url.rstrip("/") + self.uri.removesuffix(".json"), self.content_type)
