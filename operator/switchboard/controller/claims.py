"""Who holds which number, service or sender at Twilio. Who holds one keeps it."""

from __future__ import annotations

from collections.abc import Iterable

from switchboard.api.connector import TwilioConnector
from switchboard.api.reasons import ConditionType
from switchboard.controller.queue import Key


class Claims:
    """Claims by their name (account SID and number SID), recalled from the statuses when the operator starts."""

    def __init__(self) -> None:
        self._holders: dict[str, Key] = {}
        self._held: dict[Key, frozenset[str]] = {}

    def recall(self, key: Key, connector: TwilioConnector) -> None:
        """Takes in what a connector's status says that it holds."""
        status = connector.status
        valid = any(it.type == ConditionType.CREDENTIALS_VALID and it.status == "True" for it in status.conditions)
        if status.account is None or not valid:
            return
        sids = {entry.sid for entry in status.channels if entry.sid and entry.channel == "WhatsApp"}
        if status.phone_number is not None and "SMS" in connector.spec.channels:
            sids.add(status.phone_number.sid)
        if connector.spec.from_number is None:
            sids |= {entry.sid for entry in status.channels if entry.sid and entry.channel == "SMS"}
        self.take(key, [f"{status.account.sid}/{sid}" for sid in sids])

    def take(self, key: Key, wanted: Iterable[str]) -> dict[str, Key]:
        """Holds what is free of `wanted` and lets go of all else; gives what others hold."""
        wanted = frozenset(wanted)
        for claim in self._held.get(key, frozenset()) - wanted:
            if self._holders.get(claim) == key:
                del self._holders[claim]
        taken = {claim: self._holders[claim] for claim in wanted if self._holders.get(claim, key) != key}
        mine = wanted - taken.keys()
        self._holders.update(dict.fromkeys(mine, key))
        if mine:
            self._held[key] = mine
        else:
            self._held.pop(key, None)
        return taken

    def holds(self, key: Key) -> frozenset[str]:
        """What a connector holds."""
        return self._held.get(key, frozenset())
