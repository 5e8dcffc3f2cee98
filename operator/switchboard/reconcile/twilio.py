"""What was observed at Twilio, as far as decisions need it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class Kind(StrEnum):
    """What can carry a webhook."""

    NUMBER = "Number"
    APPLICATION = "Application"
    SERVICE = "Service"
    SENDER = "Sender"


@dataclass(frozen=True, slots=True)
class Carrier:
    """Something at Twilio that has a webhook for incoming messages, and the webhook that it has."""

    kind: Kind
    sid: str
    name: str = ""
    """How Twilio's console calls it."""
    url: str = ""
    method: str = "POST"

    @property
    def title(self) -> str:
        """How a person finds it."""
        what = {
            Kind.NUMBER: "the number",
            Kind.APPLICATION: "the TwiML application",
            Kind.SERVICE: "the messaging service",
            Kind.SENDER: "the WhatsApp sender",
        }[self.kind]
        return f"{what} {self.name} ({self.sid})" if self.name else f"{what} {self.sid}"


@dataclass(frozen=True, slots=True)
class Number:
    """A phone number of the account."""

    carrier: Carrier
    number: str
    capabilities: tuple[str, ...] = ()
    application: Carrier | None = None
    """The application that overrides the number's own webhook."""
    application_numbers: tuple[str, ...] = ()
    """All numbers that this application serves."""


@dataclass(frozen=True, slots=True)
class Service:
    """A messaging service."""

    carrier: Carrier
    defers: bool = False
    """Whether it leaves incoming messages to its numbers' own webhooks (`use_inbound_webhook_on_number`)."""
    numbers: tuple[str, ...] = ()
    """SIDs of the numbers in it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """A WhatsApp sender."""

    carrier: Carrier
    status: str = "ONLINE"
    offline_reasons: tuple[str, ...] = ()

    @property
    def online(self) -> bool:
        """ONLINE, or ONLINE:UPDATING, in which it still works."""
        return self.status.startswith("ONLINE")


@dataclass(frozen=True, slots=True)
class Account:
    """The account that valid credentials belong to."""

    sid: str
    name: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What an account holds of what a connector asks for."""

    number: Number | None = None
    number_service: Service | None = None
    """The messaging service that the number sits in."""
    service: Service | None = None
    """The one that `spec.messagingServiceSid` names."""
    sender: Sender | None = None
    similar: tuple[str, ...] = field(default=())
    """Numbers of the account, for the message when the one asked for is not among them."""

    def with_carrier(self, carrier: Carrier) -> Found:
        """The same with one carrier as it is now."""
        number, sender = self.number, self.sender
        if number is not None and number.carrier.sid == carrier.sid:
            number = replace(number, carrier=carrier)
        if number is not None and number.application is not None and number.application.sid == carrier.sid:
            number = replace(number, application=carrier)
        if sender is not None and sender.carrier.sid == carrier.sid:
            sender = replace(sender, carrier=carrier)
        services = [
            replace(service, carrier=carrier) if service is not None and service.carrier.sid == carrier.sid else service
            for service in (self.number_service, self.service)
        ]
        return replace(self, number=number, sender=sender, number_service=services[0], service=services[1])
