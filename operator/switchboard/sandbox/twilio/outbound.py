"""A message on its way to a person: its states, the callbacks about them, and the phone it arrives on."""

import asyncio
from collections.abc import Coroutine

from switchboard.sandbox.twilio.control_models import Advance, DeliveryPlan, Step
from switchboard.sandbox.twilio.records import API_VERSION, Account, Media, Message, new_sid
from switchboard.sandbox.twilio.segments import segments
from switchboard.sandbox.twilio.twiml import Reply
from switchboard.sandbox.twilio.webhooks import Webhooks
from switchboard.sandbox.twilio.world import World

_FAILED = {"failed", "undelivered", "canceled"}
_DAY = 24 * 3600


class Outbound:
    """Moves messages along, in tasks of its own."""

    def __init__(self, world: World, webhooks: Webhooks) -> None:
        self._world = world
        self._webhooks = webhooks
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def plan_for(self, account: Account, to: str) -> DeliveryPlan:
        """The latest plan that fits, counted; else everything goes well."""
        for plan in reversed(self._world.plans):
            if plan.account in {"", account.sid} and plan.to in {"", to} and plan.times != 0:
                if plan.times is not None:
                    plan.times -= 1
                return plan
        return DeliveryPlan()

    def start(self, account: Account, message: Message, plan: DeliveryPlan) -> None:
        """Begins the message's way, unless it is held."""
        account.messages[message.sid] = message
        if not plan.hold:
            self.spawn(self._run(account, message, plan))

    def window_closed(self, account: Account, sender: str, to: str) -> bool:
        """Whether more than 24 hours have passed since the person wrote to this WhatsApp sender, if ever."""
        wrote = account.wrote.get((sender.removeprefix("whatsapp:"), to.removeprefix("whatsapp:")))
        return wrote is None or self._world.clock.now() - wrote > _DAY

    async def reply(self, account: Account, inbound: Message, reply: Reply) -> None:
        """A <Message> of TwiML."""
        to, sender = reply.to or inbound.sender, reply.sender or inbound.to
        now = self._world.clock.now()
        message = Message(
            new_sid("SM"),
            account.sid,
            sender,
            to,
            reply.body,
            "outbound-reply",
            "queued",
            now,
            segments=segments(reply.body),
        )
        message.media = [Media(new_sid("ME"), "application/octet-stream", url.encode()) for url in reply.media]
        message.status_callback = reply.status_callback
        self.start(account, message, self.plan_for(account, to))

    async def _run(self, account: Account, message: Message, plan: DeliveryPlan) -> None:
        steps = plan.steps
        whatsapp = message.to.startswith("whatsapp:")
        if whatsapp and self.window_closed(account, message.sender, message.to):
            steps = [Step(status="failed", error_code=63016)]
        arrives = not any(step.status in _FAILED for step in steps)
        for step in steps:
            await self._apply(message, step)
            if arrives and step.status in {"sent", "delivered"}:
                await self._world.deliver_to_phone(message)
        # A message does not wait for who is told of it: a slow webhook would let the next one arrive before it.
        codes = {step.status: step.error_code for step in steps}
        for status in [step.status for step in steps] if plan.callbacks is None else plan.callbacks:
            await self._call_back(account, message, status, codes.get(status))  # type: ignore[call-overload]

    async def advance(self, account: Account, message: Message, order: Advance) -> None:
        """Moves a held message on by hand."""
        await self._apply(message, order)
        if order.status in {"sent", "delivered"}:
            await self._world.deliver_to_phone(message)
        if order.callback:
            await self._call_back(account, message, order.status, order.error_code)

    async def _apply(self, message: Message, step: Step) -> None:
        now = self._world.clock.now()
        message.status, message.updated, message.reveal_sender = step.status, now, True
        message.error_code = step.error_code
        if step.status in {"sent", "delivered"} and message.sent is None:
            message.sent = now
        await self._world.watchers.notify()

    async def _call_back(self, account: Account, message: Message, status: str, error_code: int | None) -> None:
        if not message.status_callback:
            return
        pairs = [
            ("SmsSid", message.sid),
            ("SmsStatus", status),
            ("MessageStatus", status),
            ("To", message.to),
            ("MessageSid", message.sid),
            ("AccountSid", account.sid),
            ("From", message.sender),
            ("ApiVersion", API_VERSION),
        ]
        if message.service_sid:
            pairs.append(("MessagingServiceSid", message.service_sid))
        if error_code:
            pairs.append(("ErrorCode", str(error_code)))
        if message.to.startswith("whatsapp:"):
            pairs += [("ChannelPrefix", "whatsapp"), ("ChannelInstallSid", "XE" + "0" * 32)]
            if status in {"read", "delivered"}:
                pairs.append(("EventType", status.upper()))
        elif status == "delivered":
            pairs.append(("RawDlrDoneDate", _dlr(self._world.clock.now())))
        await self._webhooks.call(
            account,
            message.status_callback,
            "POST",
            pairs,
            kind="status",
            message_sid=message.sid,
            message_status=status,
        )


def _dlr(when: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(when, UTC).strftime("%y%m%d%H%M")
