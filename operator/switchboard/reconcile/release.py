"""What stood at Twilio before us, kept so that it can be put back."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence

from pydantic import Field

from switchboard.api.connector import TwilioConnector
from switchboard.api.meta import API_VERSION, LABEL_CONNECTOR, Model
from switchboard.reconcile.owners import controlled_by
from switchboard.reconcile.twilio import Carrier, Kind
from switchboard.reconcile.webhooks import Write, is_switchboard, points_here

KEY = "previous.json"


class Previous(Model):
    """What one carrier's webhook was before ours."""

    account: str
    """The account's SID."""
    kind: Kind
    sid: str
    url: str = ""
    """Empty: it had none, or one of a Switchboard."""
    method: str = "POST"


class Record(Model):
    """All that a connector has to put back."""

    places: list[Previous] = Field(default_factory=list)

    def of(self, sid: str) -> Previous | None:
        """What is kept of one carrier."""
        return next((place for place in self.places if place.sid == sid), None)


def secret_name(connector: str) -> str:
    """Name of the Secret that keeps a connector's previous webhooks: their URLs may carry passwords."""
    if len(connector) > 200:
        connector = f"{connector[:190].rstrip('-.')}-{hashlib.sha256(connector.encode()).hexdigest()[:10]}"
    return f"{connector}-previous-webhook"


def secret(connector: TwilioConnector, record: Record) -> dict[str, object]:
    """The Secret that keeps a record. It carries no label for use: nothing may refer to it."""
    owner = connector.metadata
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": secret_name(owner.name),
            "namespace": owner.namespace,
            "labels": {
                "app.kubernetes.io/name": "switchboard",
                "app.kubernetes.io/managed-by": "switchboard-operator",
                LABEL_CONNECTOR: owner.name[:63].rstrip("-."),
            },
            "ownerReferences": [controlled_by(API_VERSION, "TwilioConnector", owner.name, owner.uid)],
        },
        "type": "Opaque",
        "data": {KEY: base64.b64encode(record.model_dump_json(by_alias=True).encode()).decode()},
    }


def read(data: Mapping[str, str]) -> Record:
    """The record in a Secret's `data`; an empty one where it cannot be read."""
    try:
        return Record.model_validate_json(base64.b64decode(data.get(KEY, "")))
    except ValueError:
        return Record()


def kept(record: Record, account: str, asked: Sequence[Write], connector: TwilioConnector) -> Record:
    """The record before `asked` is written: what stands there now is added.

    What is kept already stays while our own URL stood there since (a repair must not keep the intruder's URL); before
    that the newest counts, because we may have been ended between keeping and writing. Where there was nothing, nothing
    is kept of a place that the status names: its end is the same.
    """
    places = {place.sid: place for place in record.places}
    named = {entry.sid for entry in connector.status.channels}
    for write in asked:
        carrier = write.carrier
        if carrier.sid in places and (write.repair or points_here(carrier.url, connector)):
            continue
        nobodys = write.repair or is_switchboard(carrier.url) or points_here(carrier.url, connector)
        url = "" if nobodys else carrier.url
        if not url and carrier.sid in named and carrier.sid not in places:
            continue
        places[carrier.sid] = Previous(
            account=account, kind=carrier.kind, sid=carrier.sid, url=url, method=carrier.method or "POST"
        )
    return Record(places=[places[sid] for sid in sorted(places)])


def left_over(record: Record, current: Sequence[Carrier]) -> list[Previous]:
    """What is kept of carriers that the connector no longer uses: to be put back now."""
    used = {carrier.sid for carrier in current}
    return [place for place in record.places if place.sid not in used]


def without(record: Record, sids: Sequence[str]) -> Record:
    """The record without what was put back."""
    return Record(places=[place for place in record.places if place.sid not in sids])


def to_release(connector: TwilioConnector, record: Record) -> list[Previous]:
    """All that has to be looked at when the connector goes: what is kept, and what the status names besides.

    The status speaks where the Secret is gone already, as in a namespace that is being deleted: ours is then taken
    away and nothing put in its place.
    """
    result = {place.sid: place for place in record.places}
    account = connector.status.account
    for entry in connector.status.channels:
        if entry.sid is not None and entry.sid not in result and account is not None:
            kind = _KINDS.get(entry.sid[:2])
            if kind is not None:
                result[entry.sid] = Previous(account=account.sid, kind=kind, sid=entry.sid)
    return [result[sid] for sid in sorted(result)]


_KINDS: Mapping[str, Kind] = {"PN": Kind.NUMBER, "AP": Kind.APPLICATION, "MG": Kind.SERVICE, "XE": Kind.SENDER}
"""A SID's prefix says what it is of. https://www.twilio.com/docs/glossary/what-is-a-sid"""
