"""messaging.twilio.com: messaging services (v1) and WhatsApp senders (v2)."""

import json

from aiohttp import web

from switchboard.sandbox.twilio.api_numbers import check_url, form
from switchboard.sandbox.twilio.errors import ApiError, not_found, not_simulated
from switchboard.sandbox.twilio.http import account_of, offence, world_of
from switchboard.sandbox.twilio.paging import Page
from switchboard.sandbox.twilio.records import WEBHOOK_FIELDS, MessagingService, Sender

_SERVICE_FIELDS = {
    "FriendlyName": "friendly_name",
    "InboundRequestUrl": "inbound_request_url",
    "InboundMethod": "inbound_method",
    "FallbackUrl": "fallback_url",
    "FallbackMethod": "fallback_method",
    "StatusCallback": "status_callback",
    "UseInboundWebhookOnNumber": "use_inbound_webhook_on_number",
}


def routes() -> list[web.RouteDef]:
    return [
        web.get("/v1/Services", list_services),
        web.get("/v1/Services/{sid}", read_service),
        web.post("/v1/Services/{sid}", update_service),
        web.get("/v1/Services/{sid}/PhoneNumbers", list_service_numbers),
        web.get("/v1/Services/{sid}/PhoneNumbers/{number}", read_service_number),
        web.get("/v2/Channels/Senders", list_senders),
        web.get("/v2/Channels/Senders/{sid}", read_sender),
        web.post("/v2/Channels/Senders/{sid}", update_sender),
        web.delete("/v2/Channels/Senders/{sid}", release_sender),
    ]


async def list_services(request: web.Request) -> web.Response:
    base = world_of(request).base_url
    services = account_of(request).services.values()
    return Page(request, services, lambda service: service.render(base)).meta("services", base)


async def read_service(request: web.Request) -> web.Response:
    return web.json_response(_service(request).render(world_of(request).base_url))


async def update_service(request: web.Request) -> web.Response:
    service = _service(request)
    for name, value in (await form(request)).items():
        if name not in _SERVICE_FIELDS:
            raise not_simulated(f"the parameter {name}")
        if name.endswith("Url") or name == "StatusCallback":
            check_url(name, value)
        field = _SERVICE_FIELDS[name]
        setattr(service, field, value.lower() == "true" if name == "UseInboundWebhookOnNumber" else value)
    return web.json_response(service.render(world_of(request).base_url))


async def list_service_numbers(request: web.Request) -> web.Response:
    service, base = _service(request), world_of(request).base_url
    numbers = account_of(request).numbers
    found = [numbers[sid] for sid in service.numbers if sid in numbers]
    return Page(request, found, lambda number: service.render_number(number, base)).meta("phone_numbers", base)


async def read_service_number(request: web.Request) -> web.Response:
    service, sid = _service(request), request.match_info["number"]
    number = account_of(request).numbers.get(sid)
    if sid not in service.numbers or number is None:
        raise not_found(request.path)
    return web.json_response(service.render_number(number, world_of(request).base_url))


def _service(request: web.Request) -> MessagingService:
    service = account_of(request).services.get(request.match_info["sid"])
    if service is None:
        raise not_found(request.path)
    return service


async def list_senders(request: web.Request) -> web.Response:
    if request.query.get("Channel") not in {"whatsapp", "rcs"}:
        raise ApiError(400, 20001, "Channel is required and must be one of whatsapp, rcs")
    base = world_of(request).base_url
    senders = list(account_of(request).senders.values()) if request.query["Channel"] == "whatsapp" else []
    return Page(request, senders, lambda sender: sender.render(base)).meta("senders", base)


async def read_sender(request: web.Request) -> web.Response:
    sender = _sender(request)
    answer = web.json_response(sender.render(world_of(request).base_url))
    if sender.pending is not None:
        sender.webhook, sender.pending, sender.status = sender.pending, None, "ONLINE"
    return answer


async def update_sender(request: web.Request) -> web.Response:
    """Answers 202 with what was there before: the new state shows when it is read again."""
    sender, settings = _sender(request), world_of(request).settings
    if request.content_type != "application/json":
        raise ApiError(415, 20415, "Unsupported Media Type")
    try:
        body = json.loads(await request.text())
        webhook = body.get("webhook") or {}
        unknown = (set(body) - {"webhook"}) | (set(webhook) - set(WEBHOOK_FIELDS))
    except (ValueError, AttributeError, TypeError):
        raise ApiError(400, 20001, "The request body is not valid JSON") from None
    if unknown:
        raise not_simulated(f"the field {min(unknown)}")
    updated = dict(sender.webhook) if settings.sender_update == "merge" else {}
    for name, value in webhook.items():
        if not value:
            kind = "null" if value is None else "empty"
            if settings.sender_clears_with in {"both", kind}:
                updated.pop(name, None)
            elif name in sender.webhook:
                updated[name] = sender.webhook[name]
            continue
        if name.endswith("_url"):
            check_url(name, value)
        if name in {"callback_method", "fallback_method"} and value not in {"POST", "PUT"}:
            raise ApiError(400, 20001, f"{name} must be one of POST, PUT")
        updated[name] = value
    answer = web.json_response(sender.render(world_of(request).base_url), status=202)
    if settings.slow_senders:
        sender.pending, sender.status = updated, "ONLINE:UPDATING"
    else:
        sender.webhook = updated
    return answer


async def release_sender(request: web.Request) -> web.Response:
    sender = _sender(request)
    offence(request, f"released the WhatsApp sender {sender.phone_number}")
    del account_of(request).senders[sender.sid]
    return web.Response(status=204)


def _sender(request: web.Request) -> Sender:
    sender = account_of(request).senders.get(request.match_info["sid"])
    if sender is None:
        raise not_found(request.path)
    return sender
