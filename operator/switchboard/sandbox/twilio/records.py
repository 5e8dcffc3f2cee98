"""What an account holds, and how Twilio's API writes it.

Source of the shapes: Twilio's OpenAPI documents (https://github.com/twilio/twilio-oai); a conformance test holds every
answer to them.
"""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

Json = dict[str, Any]
API_VERSION = "2010-04-01"
WEBHOOK_FIELDS = (
    "callback_url",
    "callback_method",
    "fallback_url",
    "fallback_method",
    "status_callback_url",
    "status_callback_method",
)


def new_sid(prefix: str) -> str:
    """Two capitals and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def rfc2822(when: float | None) -> str | None:
    return None if when is None else format_datetime(datetime.fromtimestamp(when, UTC))


def iso8601(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class ApiKey:
    """A key of the REST API; a standard one (not `main`) may not read accounts."""

    sid: str
    secret: str
    main: bool = False


@dataclass
class Application:
    sid: str
    account_sid: str
    created: float
    friendly_name: str = ""
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"

    def render(self) -> Json:
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.created),
            "friendly_name": self.friendly_name,
            "message_status_callback": None,
            "sms_fallback_method": self.sms_fallback_method,
            "sms_fallback_url": self.sms_fallback_url,
            "sms_method": self.sms_method,
            "sms_status_callback": None,
            "sms_url": self.sms_url,
            "status_callback": None,
            "status_callback_method": "POST",
            "uri": f"/{API_VERSION}/Accounts/{self.account_sid}/Applications/{self.sid}.json",
            "voice_caller_id_lookup": False,
            "voice_fallback_method": "POST",
            "voice_fallback_url": None,
            "voice_method": "POST",
            "voice_url": None,
            "public_application_connect_enabled": False,
        }


@dataclass
class PhoneNumber:
    sid: str
    account_sid: str
    phone_number: str
    created: float
    friendly_name: str = ""
    sms: bool = True
    mms: bool = True
    voice: bool = True
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"
    sms_application_sid: str = ""
    status_callback: str = ""
    status_callback_method: str = "POST"
    voice_url: str = ""
    voice_method: str = "POST"

    def render(self) -> Json:
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "friendly_name": self.friendly_name or self.phone_number,
            "phone_number": self.phone_number,
            "voice_url": self.voice_url,
            "voice_method": self.voice_method,
            "voice_fallback_url": "",
            "voice_fallback_method": "POST",
            "voice_caller_id_lookup": False,
            "voice_application_sid": None,
            "voice_receive_mode": "voice",
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.created),
            "sms_url": self.sms_url,
            "sms_method": self.sms_method,
            "sms_fallback_url": self.sms_fallback_url,
            "sms_fallback_method": self.sms_fallback_method,
            "sms_application_sid": self.sms_application_sid or None,
            "address_requirements": "none",
            "beta": False,
            "capabilities": {"voice": self.voice, "sms": self.sms, "mms": self.mms, "fax": False},
            "status_callback": self.status_callback,
            "status_callback_method": self.status_callback_method,
            "api_version": API_VERSION,
            "trunk_sid": None,
            "origin": "twilio",
            "emergency_status": "Active",
            "emergency_address_sid": None,
            "emergency_address_status": "unregistered",
            "address_sid": None,
            "identity_sid": None,
            "bundle_sid": None,
            "status": "in-use",
            "type": "local",
            "uri": f"/{API_VERSION}/Accounts/{self.account_sid}/IncomingPhoneNumbers/{self.sid}.json",
        }


@dataclass
class MessagingService:
    sid: str
    account_sid: str
    created: float
    friendly_name: str = ""
    inbound_request_url: str = ""
    inbound_method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    status_callback: str = ""
    use_inbound_webhook_on_number: bool = False
    advanced_opt_out: bool = False
    numbers: dict[str, float] = field(default_factory=dict)
    """SIDs of the phone numbers in it, and when each was added."""

    def render(self, base_url: str) -> Json:
        url = f"{base_url}/v1/Services/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "friendly_name": self.friendly_name,
            "date_created": iso8601(self.created),
            "date_updated": iso8601(self.created),
            "inbound_request_url": self.inbound_request_url or None,
            "inbound_method": self.inbound_method,
            "fallback_url": self.fallback_url or None,
            "fallback_method": self.fallback_method,
            "status_callback": self.status_callback or None,
            "sticky_sender": True,
            "mms_converter": True,
            "smart_encoding": True,
            "scan_message_content": "inherit",
            "fallback_to_long_code": False,
            "area_code_geomatch": False,
            "synchronous_validation": False,
            "validity_period": 14400,
            "url": url,
            "links": {"phone_numbers": f"{url}/PhoneNumbers"},
            "usecase": "undeclared",
            "us_app_to_person_registered": True,
            "use_inbound_webhook_on_number": self.use_inbound_webhook_on_number,
        }

    def render_number(self, number: PhoneNumber, base_url: str) -> Json:
        added = iso8601(self.numbers[number.sid])
        return {
            "sid": number.sid,
            "account_sid": self.account_sid,
            "service_sid": self.sid,
            "date_created": added,
            "date_updated": added,
            "phone_number": number.phone_number,
            "country_code": "US" if number.phone_number.startswith("+1") else "DE",
            "capabilities": [name for name in ("Voice", "SMS", "MMS") if getattr(number, name.lower())],
            "url": f"{base_url}/v1/Services/{self.sid}/PhoneNumbers/{number.sid}",
        }


@dataclass
class Sender:
    """A WhatsApp sender."""

    sid: str
    account_sid: str
    phone_number: str
    status: str = "ONLINE"
    webhook: dict[str, str | None] = field(default_factory=dict)
    pending: dict[str, str | None] | None = None
    """An update that was answered with 202 and shows at the next reading but one, if the world says so."""

    @property
    def sender_id(self) -> str:
        return f"whatsapp:{self.phone_number}"

    def render(self, base_url: str) -> Json:
        offline = self.status == "OFFLINE"
        return {
            "sid": self.sid,
            "status": self.status,
            "sender_id": self.sender_id,
            "configuration": {"waba_id": "12345678912345"},
            "webhook": {
                name: self.webhook.get(name) or ("POST" if name.endswith("_method") else None)
                for name in WEBHOOK_FIELDS
            },
            "profile": {"name": "Example"},
            "properties": {"quality_rating": "HIGH", "messaging_limit": "10K Customers/24hr"},
            "offline_reasons": [{"code": "63102", "message": "The sender is offline.", "more_info": error_url(63102)}]
            if offline
            else None,
            "url": f"{base_url}/v2/Channels/Senders/{self.sid}",
        }


def error_url(code: int) -> str:
    return f"https://www.twilio.com/docs/errors/{code}"


@dataclass
class Media:
    sid: str
    content_type: str
    content: bytes


@dataclass
class Message:
    """A message of either direction; `sender` and `to` with their channel's prefix."""

    sid: str
    account_sid: str
    sender: str
    to: str
    body: str
    direction: str
    status: str
    created: float
    sent: float | None = None
    updated: float = 0.0
    segments: int = 1
    service_sid: str = ""
    error_code: int | None = None
    media: list[Media] = field(default_factory=list)
    status_callback: str = ""
    reveal_sender: bool = True
    """False while a messaging service has not chosen a sender yet: the API then says null."""
    arrived: bool = False
    """The person's phone has it."""

    def render(self) -> Json:
        uri = f"/{API_VERSION}/Accounts/{self.account_sid}/Messages/{self.sid}"
        return {
            "body": self.body,
            "num_segments": str(self.segments),
            "direction": self.direction,
            "from": self.sender if self.reveal_sender else None,
            "to": self.to,
            "date_updated": rfc2822(self.updated or self.created),
            "price": None,
            "error_message": None,
            "uri": f"{uri}.json",
            "account_sid": self.account_sid,
            "num_media": str(len(self.media)),
            "status": self.status,
            "messaging_service_sid": self.service_sid or None,
            "sid": self.sid,
            "date_sent": rfc2822(self.sent),
            "date_created": rfc2822(self.created),
            "error_code": self.error_code,
            "price_unit": "USD",
            "api_version": API_VERSION,
            "subresource_uris": {"media": f"{uri}/Media.json", "feedback": f"{uri}/Feedback.json"},
        }

    def render_media(self, media: Media) -> Json:
        return {
            "sid": media.sid,
            "account_sid": self.account_sid,
            "parent_sid": self.sid,
            "content_type": media.content_type,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.created),
            "uri": f"/{API_VERSION}/Accounts/{self.account_sid}/Messages/{self.sid}/Media/{media.sid}.json",
        }


@dataclass
class Account:
    sid: str
    auth_token: str
    created: float
    friendly_name: str = ""
    status: str = "active"
    type: str = "Full"
    owner_sid: str = ""
    old_token: str = ""
    suspended_code: int = 20003
    """What is answered while it is not active: 20003, 20005, 20403 or 90010; 0 lets its own record be read."""
    verified: set[str] = field(default_factory=set)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    numbers: dict[str, PhoneNumber] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)
    services: dict[str, MessagingService] = field(default_factory=dict)
    senders: dict[str, Sender] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    opted_out: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of a sender (a number, or a messaging service's SID) and a person."""
    wrote: dict[tuple[str, str], float] = field(default_factory=dict)
    """When a person last wrote to a WhatsApp sender: what opens the 24 hours."""

    def render(self) -> Json:
        uri = f"/{API_VERSION}/Accounts/{self.sid}"
        return {
            "auth_token": self.auth_token,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.created),
            "friendly_name": self.friendly_name,
            "owner_account_sid": self.owner_sid or self.sid,
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {
                "incoming_phone_numbers": f"{uri}/IncomingPhoneNumbers.json",
                "messages": f"{uri}/Messages.json",
                "applications": f"{uri}/Applications.json",
            },
            "type": self.type,
            "uri": f"{uri}.json",
        }

    def service_of(self, number: PhoneNumber) -> MessagingService | None:
        """The messaging service that a number sits in."""
        return next((service for service in self.services.values() if number.sid in service.numbers), None)
