"""A typed client of the simulator's control API: the phone's, the demo's and the tests'."""

import asyncio
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, TypeAdapter

from switchboard.sandbox.twilio.control_models import (
    AccountChange,
    AccountSpec,
    Advance,
    Alert,
    ApiKeySpec,
    ApplicationSpec,
    ChannelName,
    DeliverSpec,
    DeliveryPlan,
    Fault,
    FaultSpec,
    Inbox,
    InboxItem,
    MediaSpec,
    MessageView,
    NumberSpec,
    Offence,
    RequestEntry,
    SenderSpec,
    ServiceSpec,
    Settings,
    Signature,
    TextResult,
    TextSpec,
    WebhookCall,
)

M = TypeVar("M", bound=BaseModel)
_LONG_POLL = 60


class ControlError(Exception):
    """The simulator refused an order; the text names the field."""


class Control:
    """Works on a simulator at `url`. Use it as an async context manager, or `close` it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    # What there is

    async def create_account(
        self, spec: AccountSpec | None = None, *, sid: str = "", auth_token: str = "", friendly_name: str = ""
    ) -> AccountSpec:
        """Makes an account with all that `spec` holds; the answer has the SIDs and secrets that were made up."""
        given = {"sid": sid, "auth_token": auth_token, "friendly_name": friendly_name}
        wanted = (spec or AccountSpec()).model_copy(update={name: value for name, value in given.items() if value})
        return await self._ask("POST", "accounts", AccountSpec, wanted)

    async def account(self, sid: str) -> AccountSpec:
        return await self._ask("GET", f"accounts/{sid}", AccountSpec)

    async def change_account(self, sid: str, change: AccountChange) -> AccountSpec:
        return await self._ask("PATCH", f"accounts/{sid}", AccountSpec, change)

    async def set_token(self, sid: str, auth_token: str) -> AccountSpec:
        """Rotates the auth token; the one before still signs what is ordered with `signature="old"`."""
        return await self.change_account(sid, AccountChange(auth_token=auth_token))

    async def add_number(
        self,
        account: str,
        phone_number: str,
        *,
        sms_url: str = "",
        sms_fallback_url: str = "",
        sms_application_sid: str = "",
        sms: bool = True,
    ) -> NumberSpec:
        """A phone number."""
        spec = NumberSpec(
            phone_number=phone_number,
            sms_url=sms_url,
            sms_fallback_url=sms_fallback_url,
            sms_application_sid=sms_application_sid,
            sms=sms,
        )
        return await self._ask("POST", f"accounts/{account}/numbers", NumberSpec, spec)

    async def number(self, account: str, phone_number: str) -> NumberSpec:
        """A phone number as it is now. Raises ControlError if the account does not have it."""
        for number in (await self.account(account)).numbers:
            if number.phone_number == phone_number:
                return number
        raise ControlError(f"the account has no number {phone_number}")

    async def add_sender(
        self, account: str, phone_number: str, *, status: str = "ONLINE", callback_url: str = "", fallback_url: str = ""
    ) -> SenderSpec:
        """A WhatsApp sender."""
        spec = SenderSpec(
            phone_number=phone_number, status=status, callback_url=callback_url, fallback_url=fallback_url
        )
        return await self._ask("POST", f"accounts/{account}/senders", SenderSpec, spec)

    async def sender(self, account: str, phone_number: str) -> SenderSpec:
        """A WhatsApp sender as it is now. Raises ControlError if the account does not have it."""
        for sender in (await self.account(account)).senders:
            if sender.phone_number == phone_number:
                return sender
        raise ControlError(f"the account has no WhatsApp sender {phone_number}")

    async def add_application(self, account: str, spec: ApplicationSpec) -> ApplicationSpec:
        return await self._ask("POST", f"accounts/{account}/applications", ApplicationSpec, spec)

    async def add_service(self, account: str, spec: ServiceSpec) -> ServiceSpec:
        return await self._ask("POST", f"accounts/{account}/services", ServiceSpec, spec)

    async def add_key(self, account: str, spec: ApiKeySpec) -> ApiKeySpec:
        return await self._ask("POST", f"accounts/{account}/keys", ApiKeySpec, spec)

    async def click(self, sid: str, kind: str, resource: str, **values: object) -> AccountSpec:
        """Somebody changes a resource in Twilio's console: `click(ac, "numbers", pn, sms_url="https://…")`."""
        answer = await self._send("PATCH", f"accounts/{sid}/{kind}/{resource}", json=values)
        return AccountSpec.model_validate_json(answer)

    # What people do

    async def text(
        self,
        sender: str,
        to: str,
        body: str = "",
        *,
        channel: ChannelName = "SMS",
        profile_name: str = "",
        media: list[MediaSpec] | None = None,
        parameters: dict[str, str] | None = None,
        signature: Signature = "good",
        times: int = 1,
        wait: bool = False,
    ) -> TextResult:
        """A person's phone (`sender`, E.164) texts a number; see TextSpec."""
        spec = TextSpec(
            sender=sender,
            to=to,
            body=body,
            channel=channel,
            profile_name=profile_name,
            media=media or [],
            parameters=parameters or {},
            signature=signature,
            times=times,
            wait=wait,
        )
        return await self._ask("POST", "texts", TextResult, spec)

    async def deliver(self, message_sid: str, *, signature: Signature = "good", times: int = 1) -> TextResult:
        """Calls the webhook of an earlier text: late, again, or in another order."""
        spec = DeliverSpec(signature=signature, times=times)
        return await self._ask("POST", f"texts/{message_sid}/deliver", TextResult, spec)

    async def inbox(self, number: str, *, after: int = 0, wait: bool = True) -> list[InboxItem]:
        """What a person's phone shows from index `after` on, both channels in the order they came.

        With `wait` it waits until there is something, however long that is: bound it with `asyncio.timeout`.
        """
        while True:
            seconds = _LONG_POLL if wait else 0
            inbox = await self._ask("GET", f"inbox/{quote(number, safe='')}?after={after}&timeout={seconds}", Inbox)
            if inbox.items or not wait:
                return inbox.items

    async def next_message(self, number: str, *, after: int = 0, timeout: float = 30.0) -> InboxItem:  # noqa: ASYNC109
        """The message at index `after`. Raises TimeoutError if it does not come within `timeout` seconds."""
        async with asyncio.timeout(timeout):
            return (await self.inbox(number, after=after))[0]

    # What becomes of sent messages

    async def messages(self, account: str = "") -> list[MessageView]:
        return await self._all(f"messages?account={account}", MessageView)

    async def message(self, sid: str, *, status: str = "", timeout: float = 30.0) -> MessageView:  # noqa: ASYNC109
        """A message; with `status`, once it has that, or as it is after `timeout` seconds."""
        return await self._ask("GET", f"messages/{sid}?status={status}&timeout={timeout}", MessageView)

    async def plan(self, plan: DeliveryPlan) -> None:
        await self._ask("POST", "plans", DeliveryPlan, plan)

    async def clear_plans(self) -> None:
        await self._send("DELETE", "plans")

    async def advance(self, sid: str, order: Advance) -> MessageView:
        """Moves a message that a plan holds."""
        return await self._ask("POST", f"messages/{sid}/advance", MessageView, order)

    # What goes wrong, and what happened

    async def fault(self, spec: FaultSpec) -> Fault:
        return await self._ask("POST", "faults", Fault, spec)

    async def faults(self) -> list[Fault]:
        return await self._all("faults", Fault)

    async def clear_faults(self) -> None:
        await self._send("DELETE", "faults")

    async def requests(self) -> list[RequestEntry]:
        """Every request to the API since the last `clear_requests`."""
        return await self._all("requests", RequestEntry)

    async def clear_requests(self) -> None:
        await self._send("DELETE", "requests")

    async def webhook_calls(
        self,
        message_sid: str = "",
        *,
        count: int = 0,
        timeout: float = 30.0,  # noqa: ASYNC109
    ) -> list[WebhookCall]:
        """What the simulator called, waiting until there are `count`."""
        return await self._all(f"webhook-calls?message_sid={message_sid}&count={count}&timeout={timeout}", WebhookCall)

    async def alerts(self) -> list[Alert]:
        return await self._all("alerts", Alert)

    async def offences(self) -> list[Offence]:
        """What nobody may do: a test asserts that this is empty."""
        return await self._all("offences", Offence)

    async def settings(self, settings: Settings) -> None:
        await self._ask("PUT", "settings", Settings, settings)

    async def advance_clock(self, seconds: float) -> None:
        await self._send("POST", "clock", json={"advance": seconds})

    # The wire

    async def _ask(self, method: str, path: str, kind: type[M], body: BaseModel | None = None) -> M:
        sent = body.model_dump(mode="json") if body is not None else None
        return kind.model_validate_json(await self._send(method, path, json=sent))

    async def _all(self, path: str, kind: type[M]) -> list[M]:
        return TypeAdapter(list[kind]).validate_json(await self._send("GET", path))  # type: ignore[valid-type]

    async def _send(self, method: str, path: str, json: object = None) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=150))
        async with self._session.request(method, f"{self.url}/_sim/{path}", json=json) as answer:
            body = await answer.read()
            if answer.status >= 400:
                raise ControlError(f"{method} {path}: {body.decode('utf-8', 'replace')}")
            return body

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
