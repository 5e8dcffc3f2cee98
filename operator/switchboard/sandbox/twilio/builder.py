"""Makes what the control API and a configuration file ask for."""

import secrets
from dataclasses import fields
from typing import Any, TypeVar

from switchboard.sandbox.twilio.control_models import (
    AccountSpec,
    ApiKeySpec,
    ApplicationSpec,
    Model,
    NumberSpec,
    SenderSpec,
    ServiceSpec,
)
from switchboard.sandbox.twilio.errors import ApiError
from switchboard.sandbox.twilio.records import (
    Account,
    ApiKey,
    Application,
    MessagingService,
    PhoneNumber,
    Sender,
    new_sid,
)
from switchboard.sandbox.twilio.world import World

S = TypeVar("S", bound=Model)

_SPECS: dict[str, type[Model]] = {
    "numbers": NumberSpec,
    "applications": ApplicationSpec,
    "services": ServiceSpec,
    "senders": SenderSpec,
    "keys": ApiKeySpec,
}


def add_account(world: World, spec: AccountSpec) -> Account:
    """Raises ApiError if the SID is taken."""
    sid = spec.sid or new_sid("AC")
    if sid in world.accounts:
        raise ApiError(409, 20409, f"there is an account {sid} already")
    account = Account(
        sid=sid,
        auth_token=spec.auth_token or secrets.token_hex(16),
        created=world.clock.now(),
        friendly_name=spec.friendly_name,
        status=spec.status,
        type=spec.type,
        owner_sid=spec.owner_sid,
        suspended_code=spec.suspended_code,
        verified=set(spec.verified),
    )
    for resource in [*spec.keys, *spec.applications, *spec.numbers, *spec.services, *spec.senders]:
        _add(world, account, resource)
    world.accounts[sid] = account
    return account


def add_resource(world: World, account: Account, kind: str, body: str) -> Model:
    """Adds one of a kind to an account and describes it. Raises ApiError, ValidationError."""
    if kind not in _SPECS:
        raise ApiError(404, 20404, f"{kind}: one of {', '.join(sorted(_SPECS))}")
    sid = _add(world, account, _SPECS[kind].model_validate_json(body))
    described: dict[str, Model] = {item.sid: item for item in getattr(describe(account), kind)}
    return described[sid]


def change_resource(account: Account, kind: str, sid: str, values: dict[str, object]) -> None:
    """What somebody clicks in Twilio's console. Raises ApiError for an unknown resource or field."""
    holders = {
        "numbers": account.numbers,
        "applications": account.applications,
        "services": account.services,
        "senders": account.senders,
    }
    record = holders.get(kind, {}).get(sid)  # type: ignore[attr-defined]
    if record is None:
        raise ApiError(404, 20404, f"no {sid} among {kind}")
    known = {item.name: getattr(record, item.name) for item in fields(record)}
    for name, value in values.items():
        if name not in known or type(known[name]) is not type(value):
            raise ApiError(422, 20001, f"{name}: no such field, or a value of another type")
        setattr(record, name, value)


def _add(world: World, account: Account, spec: Model) -> str:
    now = world.clock.now()
    match spec:
        case NumberSpec():
            number = PhoneNumber(account_sid=account.sid, created=now, **_fields(spec, "PN"))
            account.numbers[number.sid] = number
            return number.sid
        case ApplicationSpec():
            application = Application(account_sid=account.sid, created=now, **_fields(spec, "AP"))
            account.applications[application.sid] = application
            return application.sid
        case ServiceSpec():
            by_number = {number.phone_number: number.sid for number in account.numbers.values()}
            if missing := [number for number in spec.numbers if number not in by_number]:
                raise ApiError(422, 20001, f"numbers: the account does not have {', '.join(missing)}")
            service = MessagingService(account_sid=account.sid, created=now, **_fields(spec, "MG"))
            service.numbers = {by_number[number]: now for number in spec.numbers}
            account.services[service.sid] = service
            return service.sid
        case SenderSpec():
            sender = Sender(spec.sid or new_sid("XE"), account.sid, spec.phone_number, spec.status)
            urls = {name: getattr(spec, name) for name in ("callback_url", "fallback_url", "status_callback_url")}
            for name, url in urls.items():
                if url:
                    sender.webhook |= {name: url, name.replace("_url", "_method"): "POST"}
            account.senders[sender.sid] = sender
            return sender.sid
        case ApiKeySpec():
            key = ApiKey(spec.sid or new_sid("SK"), spec.secret or secrets.token_urlsafe(24), spec.main)
            account.keys[key.sid] = key
            return key.sid
        case _:
            raise TypeError(type(spec))


def _fields(spec: Model, prefix: str) -> dict[str, Any]:  # the specs name their fields as the records do
    values = spec.model_dump()
    values["sid"] = values["sid"] or new_sid(prefix)
    return values


def describe(account: Account) -> AccountSpec:
    """An account as the control API shows it, secrets included: they are simulated."""
    return AccountSpec(
        sid=account.sid,
        auth_token=account.auth_token,
        friendly_name=account.friendly_name,
        status=account.status,
        type=account.type,
        owner_sid=account.owner_sid,
        suspended_code=account.suspended_code,
        verified=sorted(account.verified),
        keys=[ApiKeySpec(sid=key.sid, secret=key.secret, main=key.main) for key in account.keys.values()],
        applications=[_spec(ApplicationSpec, record) for record in account.applications.values()],
        numbers=[_spec(NumberSpec, record) for record in account.numbers.values()],
        services=[
            _spec(ServiceSpec, record, numbers=[account.numbers[sid].phone_number for sid in record.numbers])
            for record in account.services.values()
        ],
        senders=[
            SenderSpec(
                phone_number=sender.phone_number,
                sid=sender.sid,
                status=sender.status,
                **{
                    name: sender.webhook.get(name) or ""
                    for name in ("callback_url", "fallback_url", "status_callback_url")
                },
            )
            for sender in account.senders.values()
        ],
    )


def _spec(kind: type[S], record: object, **more: object) -> S:
    values = {name: getattr(record, name) for name in kind.model_fields if name not in more}
    return kind.model_validate(values | more)
