"""A typed client of the simulator's control API: the phone's, the demo's and the tests'."""

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


class ControlError(Exception):
    """The simulator refused an order; the text names the field."""


class SimulatorControl:
    """Works on a simulator at `url`. Use it as an async context manager, or `close` it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    # What there is

    async def create_account(self, spec: AccountSpec | None = None) -> AccountSpec:
        """Makes an account with all it holds; the answer has the SIDs and secrets that were made up."""
        return await self._ask("POST", "accounts", AccountSpec, spec or AccountSpec())

    async def account(self, sid: str) -> AccountSpec:
        return await self._ask("GET", f"accounts/{sid}", AccountSpec)

    async def change_account(self, sid: str, change: AccountChange) -> AccountSpec:
        return await self._ask("PATCH", f"accounts/{sid}", AccountSpec, change)

    async def set_token(self, sid: str, auth_token: str) -> AccountSpec:
        """Rotates the auth token; the one before still signs what is ordered with `signature="old"`."""
        return await self.change_account(sid, AccountChange(auth_token=auth_token))

    async def add_number(self, sid: str, spec: NumberSpec) -> NumberSpec:
        return await self._ask("POST", f"accounts/{sid}/numbers", NumberSpec, spec)

    async def add_application(self, sid: str, spec: ApplicationSpec) -> ApplicationSpec:
        return await self._ask("POST", f"accounts/{sid}/applications", ApplicationSpec, spec)

    async def add_service(self, sid: str, spec: ServiceSpec) -> ServiceSpec:
        return await self._ask("POST", f"accounts/{sid}/services", ServiceSpec, spec)

    async def add_sender(self, sid: str, spec: SenderSpec) -> SenderSpec:
        return await self._ask("POST", f"accounts/{sid}/senders", SenderSpec, spec)

    async def add_key(self, sid: str, spec: ApiKeySpec) -> ApiKeySpec:
        return await self._ask("POST", f"accounts/{sid}/keys", ApiKeySpec, spec)

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

    async def inbox(
        self,
        number: str,
        *,
        channel: ChannelName = "SMS",
        after: int = 0,
        timeout: float = 0.0,  # noqa: ASYNC109
    ) -> Inbox:
        """What a person's phone shows from index `after` on, waiting `timeout` seconds for the first of it."""
        address = f"whatsapp:{number}" if channel == "WhatsApp" else number
        path = f"inbox/{quote(address, safe='')}?after={after}&timeout={timeout}"
        return await self._ask("GET", path, Inbox)

    async def next_message(
        self,
        number: str,
        *,
        channel: ChannelName = "SMS",
        after: int = 0,
        timeout: float = 30.0,  # noqa: ASYNC109
    ) -> InboxItem:
        """The message at index `after`. Raises TimeoutError if it does not come within `timeout` seconds."""
        inbox = await self.inbox(number, channel=channel, after=after, timeout=timeout)
        if not inbox.items:
            raise TimeoutError(f"no message number {after} on {channel} within {timeout:g} s")
        return inbox.items[0]

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
