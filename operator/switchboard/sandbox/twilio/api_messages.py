"""api.twilio.com, 2010-04-01: messages and their media."""

import re
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

from aiohttp import web
from multidict import MultiMapping

from switchboard.sandbox.twilio.api_numbers import ROOT
from switchboard.sandbox.twilio.errors import ApiError, message_error, not_found, not_simulated
from switchboard.sandbox.twilio.http import account_of, offence, world_of
from switchboard.sandbox.twilio.opt_out import OptOuts
from switchboard.sandbox.twilio.outbound import Outbound
from switchboard.sandbox.twilio.paging import Page
from switchboard.sandbox.twilio.records import Account, Media, Message, MessagingService, PhoneNumber, new_sid
from switchboard.sandbox.twilio.segments import segments

OUTBOUND = web.AppKey("outbound", Outbound)
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_TRIAL = "Sent from your Twilio trial account - "
_KNOWN = {"To", "From", "MessagingServiceSid", "Body", "MediaUrl", "StatusCallback"}
_LIMIT = 1600


def routes() -> list[web.RouteDef]:
    messages = f"{ROOT}/Messages"
    return [
        web.get(f"{messages}.json", list_messages),
        web.post(f"{messages}.json", create_message),
        web.get(messages + "/{sid}.json", read_message),
        web.get(messages + "/{sid}/Media.json", list_media),
        web.get(messages + "/{sid}/Media/{media}.json", read_media),
        web.get(messages + "/{sid}/Media/{media}", fetch_media),
        web.get("/_media/{media}", kept_media),
    ]


async def create_message(request: web.Request) -> web.Response:
    """Takes a message over: 201, and what becomes of it is for callbacks to say."""
    account, world, outbound = account_of(request), world_of(request), request.app[OUTBOUND]
    if request.content_type != "application/x-www-form-urlencoded":
        raise ApiError(415, 20415, "Unsupported Media Type")
    form = await request.post()
    if unknown := set(form) - _KNOWN:
        raise not_simulated(f"the parameter {min(unknown)}")
    values: dict[str, str] = {name: str(form.get(name, "")) for name in _KNOWN}
    to, sender, body, callback = values["To"], values["From"], values["Body"], values["StatusCallback"]
    media = [str(value) for value in form.getall("MediaUrl", [])]
    _check_content(to, body, media, callback)
    service = _service(account, values["MessagingServiceSid"])
    chosen = sender or _choose(account, service, to)
    _check_pair(account, service, chosen, to)
    plan = outbound.plan_for(account, to)
    if plan.refuse is not None:
        raise message_error(plan.refuse, to=to, sender=chosen)
    if (
        to.startswith("whatsapp:")
        and world.settings.window_errors == "answer"
        and outbound.window_closed(account, chosen, to)
    ):
        raise message_error(63016)
    text = _TRIAL + body if account.type == "Trial" and not to.startswith("whatsapp:") else body
    message = Message(
        sid=new_sid("MM" if media and not to.startswith("whatsapp:") else "SM"),
        account_sid=account.sid,
        sender=chosen,
        to=to,
        body=text,
        direction="outbound-api",
        status="accepted" if service else "queued",
        created=world.clock.now(),
        segments=segments(text),
        service_sid=service.sid if service else "",
        media=[Media(new_sid("ME"), "application/octet-stream", url.encode()) for url in media],
        status_callback=callback or _default_callback(account, service, chosen),
        reveal_sender=bool(sender),
    )
    answer = web.json_response(message.render(), status=201)
    outbound.start(account, message, plan)
    return answer


def _check_content(to: str, body: str, media: list[str], callback: str) -> None:
    if not to:
        raise message_error(21604)
    if not _E164.fullmatch(to.removeprefix("whatsapp:")):
        raise message_error(21211, to=to)
    if not body and not media:
        raise message_error(21619)
    if len(body) > _LIMIT:
        raise message_error(21617)
    if len(media) > 10 or any(urlsplit(url).scheme not in {"http", "https"} for url in media):
        raise message_error(21620)
    parts = urlsplit(callback)
    if callback and (parts.scheme not in {"http", "https"} or not parts.hostname or "_" in parts.hostname):
        raise message_error(21609, callback=callback)


def _service(account: Account, sid: str) -> MessagingService | None:
    if not sid:
        return None
    service = account.services.get(sid)
    if service is None:
        raise message_error(21701)
    return service


def _default_callback(account: Account, service: MessagingService | None, sender: str) -> str:
    """Where news goes without a StatusCallback: the service's address, or the WhatsApp sender's own."""
    if service is not None:
        return service.status_callback
    found = next((item for item in account.senders.values() if item.sender_id == sender), None)
    return (found.webhook.get("status_callback_url") or "") if found else ""


def _choose(account: Account, service: MessagingService | None, to: str) -> str:
    """The sender that a service takes: the one this person heard from last, else its first."""
    if service is None:
        raise message_error(21603)
    if to.startswith("whatsapp:"):
        pool = [sender.sender_id for sender in account.senders.values()]
    else:
        pool = [account.numbers[sid].phone_number for sid in service.numbers if account.numbers[sid].sms]
    if not pool:
        raise message_error(21703)
    used = (m.sender for m in reversed(account.messages.values()) if m.to == to and m.sender in pool)
    return next(used, pool[0])


def _check_pair(account: Account, service: MessagingService | None, sender: str, to: str) -> None:
    if to.startswith("whatsapp:") != sender.startswith("whatsapp:"):
        raise message_error(21910)
    if to == sender:
        raise message_error(21266, to=to)
    if sender.startswith("whatsapp:"):
        if not any(s.sender_id == sender and s.status.startswith("ONLINE") for s in account.senders.values()):
            raise message_error(63007)
        return
    number: PhoneNumber | None = next((n for n in account.numbers.values() if n.phone_number == sender), None)
    if number is None or not number.sms:
        raise message_error(21606, sender=sender)
    if account.type == "Trial" and to not in account.verified:
        raise message_error(21608, to=to)
    if (service.sid if service else OptOuts.key(account, number), to) in account.opted_out:
        raise message_error(21610)


async def list_messages(request: web.Request) -> web.Response:
    """Newest first, both directions; `DateSent` filters by day, and so leaves out what was not sent yet."""
    query = request.query
    found = [
        message
        for message in reversed(account_of(request).messages.values())
        if query.get("To", message.to) == message.to
        and (query.get("From", message.sender) == message.sender)
        and _in_days(message, query)
    ]
    return Page(request, found, Message.render).v2010("messages")


def _in_days(message: Message, query: MultiMapping[str]) -> bool:
    for name in ("DateSent", "DateSent<", "DateSent>"):
        if name not in query:
            continue
        try:
            day = date.fromisoformat(query[name][:10])
        except ValueError:
            raise ApiError(400, 20001, f"Invalid value for {name}: {query[name]}") from None
        if message.sent is None:
            return False
        sent = datetime.fromtimestamp(message.sent, UTC).date()
        fits = {"DateSent": sent == day, "DateSent<": sent <= day, "DateSent>": sent >= day}
        if not fits[name]:
            return False
    return True


async def read_message(request: web.Request) -> web.Response:
    return web.json_response(_message(request).render())


async def list_media(request: web.Request) -> web.Response:
    message = _message(request)
    return Page(request, message.media, message.render_media).v2010("media_list")


async def read_media(request: web.Request) -> web.Response:
    message = _message(request)
    return web.json_response(message.render_media(_media(request, message)))


async def fetch_media(request: web.Request) -> web.Response:
    """The file itself: a redirect to where it is kept."""
    media = _media(request, _message(request))
    return web.Response(status=307, headers={"Location": f"{world_of(request).base_url}/_media/{media.sid}"})


async def kept_media(request: web.Request) -> web.Response:
    """Another host's in truth: the account's credentials have no business here."""
    if "Authorization" in request.headers:
        offence(request, "took the account's credentials to where media are kept")
    for account in world_of(request).accounts.values():
        for message in account.messages.values():
            for media in message.media:
                if media.sid == request.match_info["media"]:
                    return web.Response(body=media.content, content_type=media.content_type)
    return web.Response(status=404)


def _message(request: web.Request) -> Message:
    message = account_of(request).messages.get(request.match_info["sid"])
    if message is None:
        raise not_found(request.path)
    return message


def _media(request: web.Request, message: Message) -> Media:
    media = next((item for item in message.media if item.sid == request.match_info["media"]), None)
    if media is None:
        raise not_found(request.path)
    return media
