"""What Switchboard asks of an account, typed. No call here, or anywhere, releases a number or a sender."""

import re
from collections.abc import Sequence
from datetime import date

from switchboard.providers.base import DeliveryState, Media, MediaContent, OutboundMessage, SendResult
from switchboard.providers.errors import AccountUnusableError, OutcomeUnknownError
from switchboard.providers.twilio.api import API, MESSAGING, TwilioAPI, TwilioConnections
from switchboard.providers.twilio.credentials import Credentials
from switchboard.providers.twilio.inbound import delivery_state
from switchboard.providers.twilio.media import download
from switchboard.providers.twilio.outbound import message_form
from switchboard.providers.twilio.resources import (
    Account,
    Application,
    MediaItem,
    Message,
    MessagingService,
    PhoneNumber,
    Sender,
    ServiceNumber,
)

_PAGE = 1000
_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")


class TwilioClient:
    """An account's operations. Each raises `providers.errors.ProviderError` and nothing else of the network's or SDK's.

    Cheap to make; the SDK is loaded at the first call. Closing is for the `TwilioConnections` that it was made on.
    """

    def __init__(self, connections: TwilioConnections, credentials: Credentials, *, base_url: str = "") -> None:
        """`base_url`: an egress gateway or a simulator that takes all requests in the place of Twilio's hosts."""
        self._api = TwilioAPI(connections, credentials, base_url=base_url)
        self._account = f"{API}/2010-04-01/Accounts/{credentials.account_sid}"

    @property
    def account_sid(self) -> str:
        return self._api.credentials.account_sid

    # The account

    async def probe(self) -> Account:
        """The account, if the credentials work. With an API key, which cannot read it, all but the SID is empty.

        Raises CredentialsError, or AccountUnusableError if it is suspended or closed.
        """
        if self._api.credentials.api_key_sid:
            await self._api.call("GET", f"{self._account}/IncomingPhoneNumbers.json", params={"PageSize": 1})
            return Account(sid=self.account_sid)
        account = Account.model_validate(await self._api.call("GET", f"{self._account}.json"))
        if not account.usable:
            raise AccountUnusableError(
                f"The Twilio account is {account.status}.",
                reason="AccountSuspended",
                mend="Open Twilio's console with this account: it says what it needs.",
            )
        return account

    # Phone numbers

    async def find_number(self, phone_number: str) -> PhoneNumber | None:
        """The account's number that is exactly `phone_number` (E.164); Twilio's own filter matches parts of it too."""
        params = {"PhoneNumber": phone_number, "PageSize": _PAGE}
        async for item in self._api.pages(f"{self._account}/IncomingPhoneNumbers.json", _NUMBERS, params=params):
            if item.get("phone_number") == phone_number:
                return PhoneNumber.model_validate(item)
        return None

    async def list_numbers(self) -> list[PhoneNumber]:
        """All numbers of the account: a request for each thousand."""
        pages = self._api.pages(f"{self._account}/IncomingPhoneNumbers.json", _NUMBERS, params={"PageSize": _PAGE})
        return [PhoneNumber.model_validate(item) async for item in pages]

    async def read_number(self, sid: str) -> PhoneNumber:
        return PhoneNumber.model_validate(await self._api.call("GET", self._number(sid)))

    async def update_number(
        self,
        sid: str,
        *,
        sms_url: str,
        sms_method: str = "POST",
        fallback_url: str | None = None,
        fallback_method: str | None = None,
    ) -> PhoneNumber:
        """Sets the SMS webhook; a fallback of None stays. An empty `sms_url` clears both, as Twilio wants (21406)."""
        form = _webhook_form(sms_url, sms_method, fallback_url, fallback_method)
        return PhoneNumber.model_validate(await self._api.call("POST", self._number(sid), form=form))

    def _number(self, sid: str) -> str:
        return f"{self._account}/IncomingPhoneNumbers/{_sid(sid)}.json"

    # What overrides a number's webhook

    async def read_application(self, sid: str) -> Application:
        return Application.model_validate(await self._api.call("GET", f"{self._account}/Applications/{_sid(sid)}.json"))

    async def update_application(
        self,
        sid: str,
        *,
        sms_url: str,
        sms_method: str = "POST",
        fallback_url: str | None = None,
        fallback_method: str | None = None,
    ) -> Application:
        """As `update_number`, for every number that names this application."""
        form = _webhook_form(sms_url, sms_method, fallback_url, fallback_method)
        url = f"{self._account}/Applications/{_sid(sid)}.json"
        return Application.model_validate(await self._api.call("POST", url, form=form))

    async def list_services(self) -> list[MessagingService]:
        pages = self._api.pages(f"{MESSAGING}/v1/Services", "services", params={"PageSize": _PAGE})
        return [MessagingService.model_validate(item) async for item in pages]

    async def list_service_numbers(self, service_sid: str) -> list[ServiceNumber]:
        """The numbers in a service. A number's own record does not name its service."""
        url = f"{MESSAGING}/v1/Services/{_sid(service_sid)}/PhoneNumbers"
        pages = self._api.pages(url, "phone_numbers", params={"PageSize": _PAGE})
        return [ServiceNumber.model_validate(item) async for item in pages]

    async def read_service(self, sid: str) -> MessagingService:
        return MessagingService.model_validate(await self._api.call("GET", f"{MESSAGING}/v1/Services/{_sid(sid)}"))

    async def update_service(self, sid: str, *, inbound_url: str, inbound_method: str = "POST") -> MessagingService:
        """Sets the service's webhook, for all its numbers; an empty URL clears it."""
        form = {"InboundRequestUrl": inbound_url, "InboundMethod": inbound_method}
        return MessagingService.model_validate(
            await self._api.call("POST", f"{MESSAGING}/v1/Services/{_sid(sid)}", form=form)
        )

    # WhatsApp senders

    async def list_senders(self) -> list[Sender]:
        """All WhatsApp senders; the list knows no filter by number: compare `sender_id`."""
        params = {"Channel": "whatsapp", "PageSize": _PAGE}
        pages = self._api.pages(f"{MESSAGING}/v2/Channels/Senders", "senders", params=params)
        return [Sender.model_validate(item) async for item in pages]

    async def find_sender(self, phone_number: str) -> Sender | None:
        """The WhatsApp sender of `phone_number` (E.164)."""
        wanted = f"whatsapp:{phone_number}"
        return next((sender for sender in await self.list_senders() if sender.sender_id == wanted), None)

    async def read_sender(self, sid: str) -> Sender:
        return Sender.model_validate(await self._api.call("GET", f"{MESSAGING}/v2/Channels/Senders/{_sid(sid)}"))

    async def update_sender(
        self,
        sender: Sender,
        *,
        callback_url: str,
        callback_method: str = "POST",
        status_callback_url: str | None = None,
    ) -> Sender:
        """Sets the sender's webhook and gives the sender as it then is: Twilio's 202 does not say so itself.

        What `sender` has besides (a fallback) is sent again, so that it stays whether Twilio merges or replaces. An
        empty URL clears: as "" first, then as null if that did not.
        """
        old = sender.webhook
        webhook: dict[str, object] = {
            name: value
            for name, value in old.model_dump().items()
            if value and name not in {"callback_url", "callback_method"}
        }
        webhook |= {"callback_url": callback_url, "callback_method": callback_method}
        if status_callback_url is not None:
            webhook |= {"status_callback_url": status_callback_url, "status_callback_method": "POST"}
        url = f"{MESSAGING}/v2/Channels/Senders/{_sid(sender.sid)}"
        await self._api.call("POST", url, body={"webhook": webhook})
        updated = await self.read_sender(sender.sid)
        if not callback_url and updated.webhook.callback_url:
            webhook |= {name: None for name in ("callback_url", "status_callback_url") if not webhook.get(name)}
            await self._api.call("POST", url, body={"webhook": webhook})
            updated = await self.read_sender(sender.sid)
        return updated

    # Messages

    async def send(self, message: OutboundMessage, *, within: float | None = None) -> SendResult:
        """Hands a text over to Twilio. `within`: seconds after which this has ended, one way or the other.

        Raises RejectedError with the code's meaning, UnavailableError if it was surely not taken (429, no connection),
        and OutcomeUnknownError if it may have been: that one must not lead to a second POST.
        """
        form = message_form(message)
        answer = await self._api.call("POST", f"{self._account}/Messages.json", form=form, once=True, within=within)
        sid = answer.get("sid")
        if not isinstance(sid, str) or not sid:
            raise OutcomeUnknownError("Twilio's answer names no message.", reason="OutcomeUnknown")
        sent = Message.model_validate(answer)
        return SendResult(sid, delivery_state(sent.status) or DeliveryState.QUEUED, sent.num_segments)

    async def read_message(self, sid: str) -> Message:
        return Message.model_validate(await self._api.call("GET", f"{self._account}/Messages/{_sid(sid)}.json"))

    async def list_messages(
        self, *, to: str = "", sender: str = "", sent_since: date | None = None, limit: int = 1000
    ) -> list[Message]:
        """Messages of both directions, newest first. Addresses with their channel's prefix; see `format_address`.

        `sent_since`: a day (UTC), that day included. With it, what is still queued is missing: it has no date yet.
        """
        params: dict[str, object] = {"PageSize": min(limit, _PAGE)}
        if to:
            params["To"] = to
        if sender:
            params["From"] = sender
        if sent_since is not None:
            params["DateSent>"] = sent_since.isoformat()
        pages = self._api.pages(f"{self._account}/Messages.json", "messages", params=params, limit=limit)
        return [Message.model_validate(item) async for item in pages]

    async def list_media(self, message_sid: str) -> list[Media]:
        """The files of a message, in the form that a webhook names them in."""
        url = f"{self._account}/Messages/{_sid(message_sid)}/Media.json"
        items = [MediaItem.model_validate(item) async for item in self._api.pages(url, "media_list")]
        return [item.media(self._api.base_url or API) for item in items]

    async def download(self, media: Media, *, max_bytes: int, types: Sequence[str] = ()) -> MediaContent:
        """A file that came with a text. `types`: those allowed, as `image/png` or `image/*`; none given allows all.

        Raises MediaRefusedError over a bound.
        """
        return await download(self._api, media, max_bytes=max_bytes, types=types)


_NUMBERS = "incoming_phone_numbers"


def _webhook_form(url: str, method: str, fallback_url: str | None, fallback_method: str | None) -> dict[str, object]:
    if not url:
        return {"SmsUrl": "", "SmsMethod": method, "SmsFallbackUrl": "", "SmsFallbackMethod": fallback_method}
    return {
        "SmsUrl": url,
        "SmsMethod": method,
        "SmsFallbackUrl": fallback_url,
        "SmsFallbackMethod": fallback_method,
    }


def _sid(value: str) -> str:
    """A SID that may stand in a path. Raises ValueError."""
    if not _SID.fullmatch(value):
        raise ValueError("a SID is two capitals and 32 hexadecimal digits")
    return value
