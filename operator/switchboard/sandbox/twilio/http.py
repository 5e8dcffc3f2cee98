"""What every request to the API goes through: the log, faults, authentication, errors."""

import asyncio
import base64
import hmac
import re
from binascii import Error as Base64Error

from aiohttp import web
from aiohttp.typedefs import Handler

from switchboard.sandbox.twilio.control_models import Fault, Offence, RequestEntry
from switchboard.sandbox.twilio.errors import ApiError, not_active, not_simulated, unauthorized
from switchboard.sandbox.twilio.records import Account
from switchboard.sandbox.twilio.world import World

WORLD = web.AppKey("world", World)
_CALLER = web.RequestKey("caller", Account)
_PATH_ACCOUNT = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})(?:[./]|$)")


def world_of(request: web.Request) -> World:
    return request.app[WORLD]


def account_of(request: web.Request) -> Account:
    """The account that a request is about, authenticated."""
    return request[_CALLER]


@web.middleware
async def api(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Everything but the control API and the place where media are kept."""
    if request.path.startswith(("/_sim/", "/_media/")):
        return await handler(request)
    world = world_of(request)
    asked, key = _asked(world, request)
    entry = RequestEntry(method=request.method, path=request.path, account=asked.sid if asked else "", status=None)
    world.log_request(entry)
    fault = world.faults.strike(request.method, request.path, entry.account)
    entry.fault = fault.id if fault else ""
    if fault is not None and fault.delay:
        await asyncio.sleep(fault.delay)
    if fault is not None and not fault.after and (answer := _faulty(request, fault)) is not None:
        entry.status = None if fault.drop else answer.status
        return answer
    try:
        _authenticate(world, request, asked, key)
        answer = await handler(request)
    except ApiError as error:
        answer = error.response()
    except web.HTTPException:
        answer = not_simulated(f"{request.method} {request.path}").response()
    if fault is not None and fault.after:
        answer = _faulty(request, fault) or answer
    entry.status = None if fault is not None and fault.drop else answer.status
    return answer


def _faulty(request: web.Request, fault: Fault) -> web.StreamResponse | None:
    if fault.drop:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=499)
    if fault.status is None:
        return None
    code = fault.code or {429: 20429, 500: 20500, 503: 20503}.get(fault.status, fault.status)
    text = {429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}.get(
        fault.status, "Error"
    )
    headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    return ApiError(fault.status, code, text, headers=headers).response()


def _credentials(request: web.Request) -> tuple[str, str]:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (Base64Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _asked(world: World, request: web.Request) -> tuple[Account | None, str]:
    """The account a request is about: its path's, or else its user's; and the API key's SID, if one was used."""
    user, _ = _credentials(request)
    match = _PATH_ACCOUNT.match(request.path)
    key = user if user.startswith("SK") else ""
    if match:
        return world.accounts.get(match.group(1)), key
    if key:
        return next((account for account in world.accounts.values() if key in account.keys), None), key
    return world.accounts.get(user), key


def _authenticate(world: World, request: web.Request, asked: Account | None, key: str) -> None:
    user, password = _credentials(request)
    if not user:
        raise unauthorized(
            "Authentication Error - No credentials provided", "Your AccountSid or AuthToken was incorrect."
        )
    owner = world.accounts.get(asked.owner_sid) if asked is not None else None
    for account in (asked, owner):
        if account is None:
            continue
        if key:
            secret = account.keys[key].secret if key in account.keys else None
        else:
            secret = account.auth_token if account.sid == user else None
        if secret is not None and hmac.compare_digest(secret.encode(), password.encode()):
            break
    else:
        raise unauthorized("Authenticate")
    if asked is None:
        raise unauthorized("Authenticate")
    is_record = request.path == f"/2010-04-01/Accounts/{asked.sid}.json"
    if key and is_record and not account.keys[key].main:
        raise unauthorized("Authenticate")
    if asked.status != "active" and not (asked.suspended_code == 0 and is_record):
        raise not_active(asked.suspended_code)
    request[_CALLER] = asked


def offence(request: web.Request, what: str) -> None:
    """Writes down what nobody may do."""
    account = account_of(request).sid if _CALLER in request else ""
    world_of(request).offences.append(Offence(method=request.method, path=request.path, account=account, what=what))
