"""api.twilio.com, 2010-04-01: accounts, incoming phone numbers and applications."""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TypeVar
from urllib.parse import urlsplit

from aiohttp import web

from switchboard.sandbox.twilio.errors import ApiError, invalid_url, not_found, not_simulated
from switchboard.sandbox.twilio.http import account_of, offence
from switchboard.sandbox.twilio.paging import Page
from switchboard.sandbox.twilio.records import Application, PhoneNumber

ROOT = "/2010-04-01/Accounts/{account}"
Record = TypeVar("Record", PhoneNumber, Application)

_NUMBER_FIELDS = {
    "FriendlyName": "friendly_name",
    "SmsUrl": "sms_url",
    "SmsMethod": "sms_method",
    "SmsFallbackUrl": "sms_fallback_url",
    "SmsFallbackMethod": "sms_fallback_method",
    "SmsApplicationSid": "sms_application_sid",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
}
_APPLICATION_FIELDS = {name: field for name, field in _NUMBER_FIELDS.items() if name.startswith(("Friendly", "Sms"))}
del _APPLICATION_FIELDS["SmsApplicationSid"]


def routes() -> list[web.RouteDef]:
    numbers, applications = f"{ROOT}/IncomingPhoneNumbers", f"{ROOT}/Applications"
    return [
        web.get(f"{ROOT}.json", read_account),
        web.get(f"{numbers}.json", list_numbers),
        web.get(numbers + "/{sid}.json", read_number),
        web.post(numbers + "/{sid}.json", update_number),
        web.delete(numbers + "/{sid}.json", release_number),
        web.get(f"{applications}.json", list_applications),
        web.get(applications + "/{sid}.json", read_application),
        web.post(applications + "/{sid}.json", update_application),
    ]


async def read_account(request: web.Request) -> web.Response:
    return web.json_response(account_of(request).render())


async def list_numbers(request: web.Request) -> web.Response:
    wanted, name = request.query.get("PhoneNumber", ""), request.query.get("FriendlyName", "")
    found = [
        number
        for number in account_of(request).numbers.values()
        if fits(wanted, number.phone_number) and name in {"", number.friendly_name}
    ]
    return Page(request, found, PhoneNumber.render).v2010("incoming_phone_numbers")


def fits(wanted: str, phone_number: str) -> bool:
    """Twilio matches any part of the number, and `*` stands for any digits."""
    digits = wanted.replace("+", "").replace(" ", "")  # a "+" that was not escaped arrives as a blank
    return fnmatchcase(phone_number, f"*{digits}*")


async def read_number(request: web.Request) -> web.Response:
    return web.json_response(_number(request).render())


async def update_number(request: web.Request) -> web.Response:
    number = _number(request)
    changed = _change(number, await form(request), _NUMBER_FIELDS)
    sid = changed.sms_application_sid
    if sid and sid not in account_of(request).applications:
        raise ApiError(400, 21402, f"SmsApplicationSid is not valid: {sid}")
    account_of(request).numbers[number.sid] = changed
    return web.json_response(changed.render())


async def release_number(request: web.Request) -> web.Response:
    number = _number(request)
    offence(request, f"released the number {number.phone_number}")
    del account_of(request).numbers[number.sid]
    return web.Response(status=204)


async def list_applications(request: web.Request) -> web.Response:
    found = account_of(request).applications.values()
    return Page(request, found, Application.render).v2010("applications")


async def read_application(request: web.Request) -> web.Response:
    return web.json_response(_application(request).render())


async def update_application(request: web.Request) -> web.Response:
    application = _application(request)
    changed = _change(application, await form(request), _APPLICATION_FIELDS)
    account_of(request).applications[application.sid] = changed
    return web.json_response(changed.render())


def _number(request: web.Request) -> PhoneNumber:
    number = account_of(request).numbers.get(request.match_info["sid"])
    if number is None:
        raise not_found(request.path)
    return number


def _application(request: web.Request) -> Application:
    application = account_of(request).applications.get(request.match_info["sid"])
    if application is None:
        raise not_found(request.path)
    return application


async def form(request: web.Request) -> dict[str, str]:
    """A form's parameters; a list's last counts. Another type is refused, as Twilio ignores it silently."""
    if request.content_type not in {"application/x-www-form-urlencoded", "application/octet-stream"}:
        raise ApiError(415, 20415, "Unsupported Media Type")
    return {name: str(value) for name, value in (await request.post()).items()}


def _change(record: Record, form: Mapping[str, str], fields: Mapping[str, str]) -> Record:
    """The record with a form's parameters in it. Raises ApiError: for what Twilio refuses, and 501 for the unknown."""
    values: dict[str, str] = {}
    for name, value in form.items():
        if name not in fields:
            raise not_simulated(f"the parameter {name}")
        if name.endswith("Url") or name == "StatusCallback":
            check_url(name, value)
        if name.endswith("Method") and value not in {"GET", "POST"}:
            raise ApiError(400, 21403, f"{name} is not valid: {value}")
        values[fields[name]] = value
    changed = replace(record, **values)  # type: ignore[arg-type]
    if changed.sms_fallback_url and not changed.sms_url:
        raise ApiError(400, 21406, "Cannot set SmsFallbackUrl without setting SmsUrl")
    return changed


def check_url(name: str, value: str) -> None:
    """Raises 21402 unless `value` is empty or an absolute http(s) URL."""
    if not value:
        return
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or " " in value:
        raise invalid_url(name, value)
