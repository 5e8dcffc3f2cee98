"""Everything that is: accounts and what they hold, phones with their inboxes, faults on order, and what happened."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from switchboard.sandbox.twilio.control_models import (
    Alert,
    DeliveryPlan,
    InboxItem,
    Offence,
    RequestEntry,
    Settings,
    WebhookCall,
)
from switchboard.sandbox.twilio.faults import Faults
from switchboard.sandbox.twilio.records import Account, Message, PhoneNumber, Sender

_MAX_LOG = 200_000


class Clock:
    """Seconds since 1970, with an offset that a test may advance."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return time.time() + self.offset


class Watchers:
    """Wakes who waits for something to become true; nobody polls."""

    def __init__(self) -> None:
        self._condition = asyncio.Condition()

    async def notify(self) -> None:
        async with self._condition:
            self._condition.notify_all()

    async def wait_for(self, predicate: Callable[[], bool], seconds: float) -> bool:
        """Whether `predicate` became true within `seconds`."""
        try:
            async with asyncio.timeout(seconds), self._condition:
                await self._condition.wait_for(predicate)
        except TimeoutError:
            return predicate()
        return True


@dataclass
class World:
    clock: Clock = field(default_factory=Clock)
    settings: Settings = field(default_factory=Settings)
    accounts: dict[str, Account] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    plans: list[DeliveryPlan] = field(default_factory=list)
    inboxes: dict[str, list[InboxItem]] = field(default_factory=dict)
    """By the person's number: one phone with both channels on it."""
    requests: list[RequestEntry] = field(default_factory=list)
    webhook_calls: list[WebhookCall] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    offences: list[Offence] = field(default_factory=list)
    watchers: Watchers = field(default_factory=Watchers)
    base_url: str = ""

    def find_number(self, phone_number: str) -> tuple[Account, PhoneNumber] | None:
        for account in self.accounts.values():
            for number in account.numbers.values():
                if number.phone_number == phone_number:
                    return account, number
        return None

    def find_sender(self, phone_number: str) -> tuple[Account, Sender] | None:
        for account in self.accounts.values():
            for sender in account.senders.values():
                if sender.phone_number == phone_number:
                    return account, sender
        return None

    def find_message(self, sid: str) -> tuple[Account, Message] | None:
        for account in self.accounts.values():
            if sid in account.messages:
                return account, account.messages[sid]
        return None

    def log_request(self, entry: RequestEntry) -> None:
        if len(self.requests) < _MAX_LOG:
            self.requests.append(entry)

    def alert(self, account: Account, code: int, url: str, text: str, message_sid: str = "") -> None:
        """An entry of Twilio's debugger."""
        self.alerts.append(
            Alert(account=account.sid, code=code, url=url, text=text, message_sid=message_sid, time=self.clock.now())
        )

    async def deliver_to_phone(self, message: Message) -> None:
        """The person's phone shows the message, once."""
        if message.arrived:
            return
        message.arrived = True
        to = message.to.removeprefix("whatsapp:")
        inbox = self.inboxes.setdefault(to, [])
        inbox.append(
            InboxItem(
                index=len(inbox),
                message_sid=message.sid,
                channel="SMS" if to == message.to else "WhatsApp",
                sender=message.sender.removeprefix("whatsapp:"),
                to=to,
                body=message.body,
                media=[media.content_type for media in message.media],
                time=self.clock.now(),
            )
        )
        await self.watchers.notify()
