"""What a TwilioConnector says of itself, and what has to be written at Twilio.

One chain of checks; the first that fails names the state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from switchboard.api.connector import REQUESTED_MAX, TwilioConnector
from switchboard.api.meta import ANNOTATION_TEST, Channel
from switchboard.api.reasons import ConditionType, ConnectorReason
from switchboard.reconcile.agents import Decision
from switchboard.reconcile.binding import Binding, webhook_url
from switchboard.reconcile.conditions import Conditions, Json, timestamp
from switchboard.reconcile.outcome import Event, Mend, Problem
from switchboard.reconcile.twilio import Account, Found
from switchboard.reconcile.webhooks import Place, Write, host_of, places, points_here, registered, writes

REPAIRS = 2
"""Repairs within `CONTEST_INTERVALS` intervals after which writing stops: somebody else writes as well."""
CONTEST_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """What was observed of a connector."""

    binding: Binding
    address: str | Problem
    """The public URL below which Twilio reaches it."""
    account: Account | Problem
    """The account that its credentials belong to."""
    found: Found | Problem = field(default_factory=Found)
    """What the account holds of what it asks for."""
    holders: Mapping[str, str] = field(default_factory=dict)
    """Claims that other connectors hold, and which (`namespace/name`)."""
    repairs: Sequence[datetime] = ()
    """When its webhook was put back, oldest first."""
    interval: float = 300.0
    """Seconds between two checks."""
    failed: Mapping[Channel, Problem] = field(default_factory=dict)
    """Channels whose webhook Twilio did not take."""
    credentials_version: str | None = None
    """The version of the credentials' Secret that all pods of the live revision run with, if they all run with one."""
    calm: bool = False
    """Whether writing begins anew although it was contested: the manifest changed, or a check was asked for."""


@dataclass(frozen=True, slots=True)
class ConnectorDecision(Decision):
    """A status, and the writes after which it is to be decided again."""

    writes: tuple[Write, ...] = ()
    claims: tuple[str, ...] = ()
    """What it holds."""
    pending: bool = False
    """Whether what was written has yet to show."""
    unavailable: bool = False
    """Whether Twilio did not answer."""


def decide(connector: TwilioConnector, seen: Seen, now: datetime) -> ConnectorDecision:
    """A connector's status and what has to be written at Twilio."""
    status = connector.status
    conditions = Conditions(status.conditions, connector.metadata.generation, now)
    account = seen.account
    _say_credentials(conditions, account)
    _say_binding(conditions, seen.binding)
    problem = account if isinstance(account, Problem) else None
    stands: list[Place] = []
    found = seen.found
    if problem is None and isinstance(found, Problem):
        problem = found
    url = wanted_url(connector, seen.address)
    if not isinstance(account, Problem) and not isinstance(found, Problem):
        stands = [_contested_by(place, seen.holders) for place in places(connector, account, found, url)]
    claims = tuple(place.claim for place in stands if place.claim and place.claim not in seen.holders)
    asked: list[Write] = []
    if problem is None:
        problem = _first(stands, (ConnectorReason.NUMBER_CONFLICT,)) or seen.binding.problem
        problem = problem or _conflict(stands) or (seen.address if isinstance(seen.address, Problem) else None)
        if problem is None and url is not None:
            asked = writes(connector, stands, url, _before(connector))
            problem = _unwritten(connector, stands, asked, seen, now)
            if problem is not None and problem.reason == ConnectorReason.WEBHOOK_CONTESTED:
                asked = []
    _say_webhook(conditions, problem, stands, url, asked)
    _say_ready(conditions, connector, problem, stands, agent=seen.binding.agent, url=url)
    conditions.progress(problem)
    wanted: Json = {
        "observedGeneration": connector.metadata.generation,
        "conditions": conditions.manifest(),
        "agent": seen.binding.agent,
        "revision": seen.binding.revision,
        "webhookURL": url.partition("#")[0] if url and problem is None else None,
        **_account(account, status.account.manifest() if status.account else None, problem),
        **_number(connector, found, claims, problem),
        "credentialsVersion": seen.credentials_version or status.credentials_version,
        "channels": _channels(stands, url, problem) or (_kept(connector) if _silent(problem) else None),
    }
    wanted["lastTest"] = _test(connector, conditions, now)
    told = conditions.transition()
    events = [told] if told is not None else []
    if status.credentials_version and seen.credentials_version not in (None, status.credentials_version):
        message = f"All pods of {seen.binding.revision} run with the changed credentials; the old ones may be revoked."
        events.append(Event(ConnectorReason.CREDENTIALS_ROLLED_OUT, message))
    waits = 31.0 if problem is not None and problem.mend is Mend.ARRIVE else None
    pending = problem is not None and problem.reason == ConnectorReason.CHECKING
    return ConnectorDecision(wanted, tuple(events), waits, tuple(asked), claims, pending, _silent(problem))


def wanted_url(connector: TwilioConnector, address: str | Problem) -> str | None:
    """What has to be registered at Twilio, if the public address is known."""
    return None if isinstance(address, Problem) else webhook_url(address, connector)


def _say_credentials(conditions: Conditions, account: Account | Problem) -> None:
    if isinstance(account, Account):
        title = f"{account.name} ({account.sid})" if account.name else account.sid
        conditions.set(
            ConditionType.CREDENTIALS_VALID, "True", ConnectorReason.VALID, f"They open the account {title}."
        )
    elif account.mend is Mend.WAIT:
        conditions.keep(ConditionType.CREDENTIALS_VALID)
    else:
        conditions.set(ConditionType.CREDENTIALS_VALID, "False", account.reason, account.message)


def _say_binding(conditions: Conditions, binding: Binding) -> None:
    if binding.problem is None:
        message = f"The Agent {binding.agent} answers, with its revision {binding.revision}."
        conditions.set(ConditionType.AGENT_BOUND, "True", ConnectorReason.BOUND, message)
    else:
        conditions.set(ConditionType.AGENT_BOUND, "False", binding.problem.reason, binding.problem.message)


def _contested_by(place: Place, holders: Mapping[str, str]) -> Place:
    holder = holders.get(place.claim or "")
    if holder is None:
        return place
    what = place.carrier.title if place.carrier is not None else "The number"
    message = (
        f"The TwilioConnector {holder} holds {what}, and who holds it keeps it. Delete that one, or set another "
        "spec.fromNumber here."
    )
    return Place(place.channel, place.carrier, place.claim, Problem(ConnectorReason.NUMBER_CONFLICT, message))


def _first(stands: Sequence[Place], late: Sequence[str]) -> Problem | None:
    """The first place's problem, those that are checked later left out."""
    overridden = (
        ConnectorReason.WEBHOOK_OVERRIDDEN_BY_APPLICATION,
        ConnectorReason.WEBHOOK_OVERRIDDEN_BY_SERVICE,
        *late,
    )
    return next((it.problem for it in stands if it.problem is not None and it.problem.reason not in overridden), None)


def _conflict(stands: Sequence[Place]) -> Problem | None:
    conflicts = (it.problem for it in stands if it.problem is not None)
    return next((problem for problem in conflicts if problem.reason == ConnectorReason.NUMBER_CONFLICT), None)


def _before(connector: TwilioConnector) -> dict[tuple[Channel, str], str]:
    return {
        (entry.channel, entry.sid): entry.webhook_url
        for entry in connector.status.channels
        if entry.sid is not None and entry.webhook_url is not None
    }


def _unwritten(
    connector: TwilioConnector, stands: Sequence[Place], asked: Sequence[Write], seen: Seen, now: datetime
) -> Problem | None:
    """What stands between the webhooks and being as wanted."""
    overridden = next((place.problem for place in stands if place.problem is not None), None)
    if overridden is not None:
        return overridden
    if (contested := _contest(connector, asked, seen, now)) is not None:
        return contested
    if seen.failed:
        return next(iter(seen.failed.values()))
    if asked:
        titles = " and ".join(write.carrier.title for write in asked)
        return Problem(ConnectorReason.CHECKING, f"The webhook of {titles} is being written.", Mend.WAIT)
    return None


def _contest(connector: TwilioConnector, asked: Sequence[Write], seen: Seen, now: datetime) -> Problem | None:
    repairs = [write for write in asked if write.repair]
    if not repairs or seen.calm:
        return None
    window = timedelta(seconds=seen.interval * CONTEST_INTERVALS)
    ready = next((it for it in connector.status.conditions if it.type == ConditionType.READY), None)
    already = ready is not None and ready.reason == ConnectorReason.WEBHOOK_CONTESTED
    if not already and sum(1 for time in seen.repairs if now - time <= window) < REPAIRS:
        return None
    name, namespace = connector.metadata.name, connector.metadata.namespace
    current = repairs[0].carrier
    message = (
        f"Somebody else keeps setting the webhook of {current.title}, now to {host_of(current.url) or 'nothing'}; it "
        f"was put back {REPAIRS} times and is now left alone. Find who does it (another cluster with the same "
        f"manifest?), then run: kubectl annotate twilioconnector {name} {ANNOTATION_TEST}=$(date +%s) --overwrite "
        f"-n {namespace}"
    )
    return Problem(ConnectorReason.WEBHOOK_CONTESTED, message)


_WEBHOOK_REASONS = {
    ConnectorReason.WEBHOOK_CONTESTED,
    ConnectorReason.WEBHOOK_OVERRIDDEN_BY_APPLICATION,
    ConnectorReason.WEBHOOK_OVERRIDDEN_BY_SERVICE,
    ConnectorReason.PUBLIC_URL_MISSING,
    ConnectorReason.HOST_NOT_ALLOWED,
    ConnectorReason.CHECKING,
    ConnectorReason.NAME_TAKEN,
    ConnectorReason.REJECTED,
}


def _say_webhook(
    conditions: Conditions, problem: Problem | None, stands: Sequence[Place], url: str | None, asked: Sequence[Write]
) -> None:
    kind = ConditionType.WEBHOOK_REGISTERED
    if problem is None and url is not None:
        if all(place.by_hand for place in stands):
            conditions.set(kind, "Unknown", ConnectorReason.SET_BY_HAND, _by_hand(url))
        else:
            titles = " and ".join(place.carrier.title for place in stands if place.carrier is not None)
            conditions.set(kind, "True", ConnectorReason.REGISTERED, f"Registered at {titles}.")
    elif problem is not None and problem.reason in _WEBHOOK_REASONS:
        conditions.set(kind, "Unknown" if asked else "False", problem.reason, problem.message)
    elif _silent(problem):
        conditions.keep(kind)
    else:
        conditions.set(kind, "False", problem.reason if problem else ConnectorReason.CHECKING, "Not registered yet.")


def _by_hand(url: str) -> str:
    return (
        "This is Twilio's WhatsApp sandbox, whose webhook no API sets. In the console, under Messaging > Try it out > "
        f"Send a WhatsApp message > Sandbox settings, set “When a message comes in” to {url} (POST)."
    )


def _say_ready(
    conditions: Conditions,
    connector: TwilioConnector,
    problem: Problem | None,
    stands: Sequence[Place],
    *,
    agent: str | None,
    url: str | None,
) -> None:
    if problem is None:
        if url is not None and any(place.by_hand for place in stands):
            conditions.set(ConditionType.READY, "True", ConnectorReason.SET_BY_HAND, _by_hand(url))
            return
        what = connector.spec.from_number or connector.spec.messaging_service_sid
        message = f"{what} is connected to the Agent {agent}."
        conditions.set(ConditionType.READY, "True", ConnectorReason.CONNECTED, message)
    elif _silent(problem) or problem.reason == ConnectorReason.CHECKING:
        conditions.set(ConditionType.READY, "Unknown", problem.reason, problem.message)
    else:
        conditions.set(ConditionType.READY, "False", problem.reason, problem.message)


def _silent(problem: Problem | None) -> bool:
    """Whether Twilio said nothing, so that what was known before is still the best that is known."""
    return problem is not None and problem.reason == ConnectorReason.TWILIO_UNAVAILABLE


def _account(account: Account | Problem, before: Json | None, problem: Problem | None) -> Json:
    if isinstance(account, Problem):
        return {"account": before if _silent(account) else None}
    known: Json = {"sid": account.sid}
    if account.name:
        known["name"] = account.name
    if account.status:
        known["status"] = account.status
    return {"account": known}


def _number(connector: TwilioConnector, found: Found | Problem, claims: Sequence[str], problem: Problem | None) -> Json:
    if _silent(problem):
        old = connector.status.phone_number
        return {"phoneNumber": old.manifest() if old is not None else None}
    if isinstance(found, Problem) or found.number is None:
        return {"phoneNumber": None}
    sid = found.number.carrier.sid
    if not any(claim.endswith(f"/{sid}") for claim in claims):
        return {"phoneNumber": None}
    return {"phoneNumber": {"sid": sid, "capabilities": list(found.number.capabilities)}}


def _channels(stands: Sequence[Place], url: str | None, problem: Problem | None) -> list[Json]:
    result: list[Json] = []
    for place in stands:
        entry: Json = {"channel": place.channel, "reason": _channel_reason(place, url, problem)}
        conflict = place.problem is not None and place.problem.reason == ConnectorReason.NUMBER_CONFLICT
        if place.carrier is not None and not conflict:
            entry["sid"] = place.carrier.sid
            if place.carrier.url:
                ours = url is not None and place.carrier.url.partition("#")[0] == url.partition("#")[0]
                entry["webhookURL"] = place.carrier.url.partition("#")[0] if ours else host_of(place.carrier.url)
        result.append(entry)
    return result


def _channel_reason(place: Place, url: str | None, problem: Problem | None) -> str:
    if place.problem is not None:
        return place.problem.reason
    if place.by_hand:
        return ConnectorReason.SET_BY_HAND
    if url is not None and place.carrier is not None and registered(place.carrier, url):
        return ConnectorReason.CONNECTED
    return problem.reason if problem is not None else ConnectorReason.CHECKING


def _kept(connector: TwilioConnector) -> list[Json] | None:
    return [entry.manifest() for entry in connector.status.channels] or None


def _test(connector: TwilioConnector, conditions: Conditions, now: datetime) -> Json | None:
    """The answer to the annotation `switchboard.dev/test`, given once for each of its values."""
    ready = conditions.of(ConditionType.READY)
    if not test_requested(connector) or ready is None or ready.reason == ConnectorReason.CHECKING:
        last = connector.status.last_test
        return last.manifest() if last is not None else None
    return {
        "time": timestamp(now),
        "requested": _requested(connector),
        "succeeded": ready.status == "True",
        "message": ready.message,
    }


def test_requested(connector: TwilioConnector) -> bool:
    """Whether a check was asked for that was not answered yet."""
    requested, last = _requested(connector), connector.status.last_test
    return requested is not None and (last is None or last.requested != requested)


def _requested(connector: TwilioConnector) -> str | None:
    """The annotation's value, of which no more is kept than a status has room for: an annotation may have 256 KiB."""
    value = connector.metadata.annotations.get(ANNOTATION_TEST)
    if value is None or len(value) <= REQUESTED_MAX:
        return value
    return f"{value[: REQUESTED_MAX - 17]}…{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def repaired(write: Write, connector: TwilioConnector) -> Event:
    """Tells that a webhook was put back."""
    was = host_of(write.carrier.url) or "nothing"
    if points_here(write.carrier.url, connector):
        was = f"{was} with other settings"
    message = f"The webhook of {write.carrier.title} had been changed to {was} and was put back."
    return Event(ConnectorReason.WEBHOOK_REPAIRED, message, "Warning")
