"""The control API under `/_sim/`: what a phone or a bad day would do, and what there is to see. JSON in and out.

| request | does |
| --- | --- |
| `POST accounts` AccountSpec | makes an account with all it holds; answers it filled in |
| `GET accounts/{sid}`, `PATCH accounts/{sid}` AccountChange | shows it; suspends it, changes its token |
| `POST accounts/{sid}/{numbers,applications,services,senders,keys}` | adds one |
| `PATCH accounts/{sid}/{kind}/{sid}` | a click in the console: sets fields as they are named in `records` |
| `POST texts` TextSpec → TextResult | a person texts |
| `POST texts/{sid}/deliver` DeliverSpec → TextResult | the webhook is called again |
| `GET inbox/{number}?after=N&timeout=S` → Inbox | what the person's phone shows, waiting for the next |
| `GET messages/{sid}?status=S&timeout=S` | a message, waiting for a status |
| `POST messages/{sid}/advance` Advance | moves a held one on |
| `GET messages?account=AC` | all messages, oldest first |
| `POST plans` DeliveryPlan, `DELETE plans` | what becomes of sent messages |
| `POST faults` FaultSpec → Fault, `GET faults`, `DELETE faults[/{id}]` | faults to order |
| `GET requests`, `DELETE requests` | the API's request log |
| `GET webhook-calls?message_sid=&count=N&timeout=S` | what was called, waiting until there are that many |
| `GET alerts`, `GET offences` | the debugger; what nobody may do |
| `PUT settings` Settings, `POST clock` ClockSpec | behaviour; time |
"""

from collections.abc import Sequence
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

from switchboard.sandbox.twilio import builder
from switchboard.sandbox.twilio.api_messages import OUTBOUND
from switchboard.sandbox.twilio.control_models import (
    AccountChange,
    AccountSpec,
    Advance,
    ClockSpec,
    DeliverSpec,
    DeliveryPlan,
    FaultSpec,
    Inbox,
    MessageView,
    Settings,
    TextResult,
    TextSpec,
    WebhookCall,
)
from switchboard.sandbox.twilio.errors import ApiError
from switchboard.sandbox.twilio.http import world_of
from switchboard.sandbox.twilio.inbound import Inbound
from switchboard.sandbox.twilio.records import Account, Message
from switchboard.sandbox.twilio.world import World

INBOUND = web.AppKey("inbound", Inbound)
_MAX_WAIT = 120.0
M = TypeVar("M", bound=BaseModel)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A wrong order is told in a sentence that names the field."""
    if not request.path.startswith("/_sim/"):
        return await handler(request)
    try:
        return await handler(request)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return web.json_response({"message": said}, status=422)
    except ApiError as error:
        return web.json_response({"message": error.message}, status=error.status)


def routes() -> list[web.RouteDef]:
    return [
        web.post("/_sim/accounts", create_account),
        web.get("/_sim/accounts/{sid}", read_account),
        web.patch("/_sim/accounts/{sid}", change_account),
        web.post("/_sim/accounts/{sid}/{kind}", add_resource),
        web.patch("/_sim/accounts/{sid}/{kind}/{resource}", change_resource),
        web.post("/_sim/texts", text),
        web.post("/_sim/texts/{sid}/deliver", deliver),
        web.get("/_sim/inbox/{number}", inbox),
        web.get("/_sim/messages", messages),
        web.get("/_sim/messages/{sid}", message),
        web.post("/_sim/messages/{sid}/advance", advance),
        web.post("/_sim/plans", add_plan),
        web.delete("/_sim/plans", clear_plans),
        web.post("/_sim/faults", add_fault),
        web.get("/_sim/faults", faults),
        web.delete("/_sim/faults", clear_faults),
        web.delete("/_sim/faults/{id}", remove_fault),
        web.get("/_sim/requests", requests),
        web.delete("/_sim/requests", clear_requests),
        web.get("/_sim/webhook-calls", webhook_calls),
        web.get("/_sim/alerts", alerts),
        web.get("/_sim/offences", offences),
        web.put("/_sim/settings", change_settings),
        web.post("/_sim/clock", advance_clock),
    ]


def _json(model: BaseModel, status: int = 200) -> web.Response:
    return web.Response(text=model.model_dump_json(), content_type="application/json", status=status)


def _list(models: Sequence[BaseModel]) -> web.Response:
    return web.json_response([model.model_dump() for model in models])


async def _body(request: web.Request, kind: type[M]) -> M:
    return kind.model_validate_json(await request.text() or "{}")


def _account(request: web.Request) -> Account:
    account = world_of(request).accounts.get(request.match_info["sid"])
    if account is None:
        raise ApiError(404, 20404, "no such account")
    return account


def _wait(request: web.Request) -> float:
    return min(float(request.query.get("timeout", "0")), _MAX_WAIT)


async def create_account(request: web.Request) -> web.Response:
    account = builder.add_account(world_of(request), await _body(request, AccountSpec))
    return _json(builder.describe(account), 201)


async def read_account(request: web.Request) -> web.Response:
    return _json(builder.describe(_account(request)))


async def change_account(request: web.Request) -> web.Response:
    account, change = _account(request), await _body(request, AccountChange)
    if change.auth_token is not None:
        account.old_token, account.auth_token = account.auth_token, change.auth_token
    account.status = change.status or account.status
    account.type = change.type or account.type
    if change.suspended_code is not None:
        account.suspended_code = change.suspended_code
    return _json(builder.describe(account))


async def add_resource(request: web.Request) -> web.Response:
    added = builder.add_resource(
        world_of(request), _account(request), request.match_info["kind"], await request.text() or "{}"
    )
    return _json(added, 201)


async def change_resource(request: web.Request) -> web.Response:
    builder.change_resource(
        _account(request), request.match_info["kind"], request.match_info["resource"], await request.json()
    )
    return _json(builder.describe(_account(request)))


async def text(request: web.Request) -> web.Response:
    spec, inbound = await _body(request, TextSpec), request.app[INBOUND]
    received = await inbound.receive(spec)
    result = TextResult(message_sid=received.sid)
    if spec.wait:
        for _ in range(spec.times):
            result.calls += await inbound.post(received.sid, spec.signature)
    else:
        for _ in range(spec.times):
            request.app[OUTBOUND].spawn(_post(inbound, received.sid, spec))
    return _json(result, 201)


async def _post(inbound: Inbound, sid: str, spec: TextSpec) -> None:
    await inbound.post(sid, spec.signature)


async def deliver(request: web.Request) -> web.Response:
    spec, sid = await _body(request, DeliverSpec), request.match_info["sid"]
    result = TextResult(message_sid=sid)
    for _ in range(spec.times):
        result.calls += await request.app[INBOUND].post(sid, spec.signature)
    return _json(result)


async def inbox(request: web.Request) -> web.Response:
    world, number = world_of(request), request.match_info["number"]
    after = int(request.query.get("after", "0"))
    await world.watchers.wait_for(lambda: len(world.inboxes.get(number, [])) > after, _wait(request))
    items = world.inboxes.get(number, [])[after:]
    return _json(Inbox(items=items, next=after + len(items)))


async def messages(request: web.Request) -> web.Response:
    wanted = request.query.get("account", "")
    return _list(
        [
            _view(account, message)
            for account in world_of(request).accounts.values()
            if wanted in {"", account.sid}
            for message in account.messages.values()
        ]
    )


def _message(world: World, sid: str) -> tuple[Account, Message]:
    found = world.find_message(sid)
    if found is None:
        raise ApiError(404, 20404, "no such message")
    return found


async def message(request: web.Request) -> web.Response:
    world = world_of(request)
    account, found = _message(world, request.match_info["sid"])
    if wanted := request.query.get("status", ""):
        await world.watchers.wait_for(lambda: found.status == wanted, _wait(request))
    return _json(_view(account, found))


def _view(account: Account, message: Message) -> MessageView:
    return MessageView(
        sid=message.sid,
        account=account.sid,
        sender=message.sender,
        to=message.to,
        body=message.body,
        direction=message.direction,
        status=message.status,
        error_code=message.error_code,
        arrived=message.arrived,
        status_callback=message.status_callback,
    )


async def advance(request: web.Request) -> web.Response:
    account, found = _message(world_of(request), request.match_info["sid"])
    await request.app[OUTBOUND].advance(account, found, await _body(request, Advance))
    return _json(_view(account, found))


async def add_plan(request: web.Request) -> web.Response:
    plan = await _body(request, DeliveryPlan)
    world_of(request).plans.append(plan)
    return _json(plan, 201)


async def clear_plans(request: web.Request) -> web.Response:
    world_of(request).plans.clear()
    return web.json_response({})


async def add_fault(request: web.Request) -> web.Response:
    return _json(world_of(request).faults.add(await _body(request, FaultSpec)), 201)


async def faults(request: web.Request) -> web.Response:
    return _list(list(world_of(request).faults.all.values()))


async def clear_faults(request: web.Request) -> web.Response:
    world_of(request).faults.all.clear()
    return web.json_response({})


async def remove_fault(request: web.Request) -> web.Response:
    world_of(request).faults.all.pop(request.match_info["id"], None)
    return web.json_response({})


async def requests(request: web.Request) -> web.Response:
    return _list(world_of(request).requests)


async def clear_requests(request: web.Request) -> web.Response:
    world_of(request).requests.clear()
    return web.json_response({})


async def webhook_calls(request: web.Request) -> web.Response:
    world, sid = world_of(request), request.query.get("message_sid", "")

    def seen() -> list[WebhookCall]:
        return [call for call in world.webhook_calls if sid in {"", call.message_sid}]

    count = int(request.query.get("count", "0"))
    await world.watchers.wait_for(lambda: len(seen()) >= count, _wait(request))
    return _list(seen())


async def alerts(request: web.Request) -> web.Response:
    return _list(world_of(request).alerts)


async def offences(request: web.Request) -> web.Response:
    return _list(world_of(request).offences)


async def change_settings(request: web.Request) -> web.Response:
    world = world_of(request)
    world.settings = await _body(request, Settings)
    return _json(world.settings)


async def advance_clock(request: web.Request) -> web.Response:
    world = world_of(request)
    world.clock.offset += (await _body(request, ClockSpec)).advance
    return web.json_response({"now": world.clock.now()})
