"""Who asked to be let in, and what was decided: the namespace's AccessRequests, as they are watched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from switchboard.api.access import AccessRequest, Decision

ASKING_SECONDS = 10.0
"""Within which a request is made, or has failed."""


@dataclass(frozen=True, slots=True)
class Asker:
    """A contact of a connector."""

    connector: str
    contact: str


class Decisions:
    """The AccessRequests by connector and contact. Two for the same contact: what keeps out wins."""

    def __init__(self) -> None:
        self._requests: dict[str, AccessRequest] = {}
        self._names: dict[Asker, set[str]] = {}
        self._decided: dict[Asker, Decision] = {}
        self._pending: Counter[str] = Counter()
        self._asking: dict[Asker, float] = {}
        """Who is being asked for, and until when that counts."""
        self.on_decided: Callable[[Asker, Decision], None] = lambda asker, decision: None
        """Called for each decision that is new, and for all there are after a listing."""

    def decision(self, connector: str, contact: str) -> Decision | None:
        """What was decided about a contact; None if it never asked."""
        return self._decided.get(Asker(connector, contact)) if self._decided else None

    def pending(self, connector: str) -> int:
        """How many requests of a connector wait."""
        return self._pending[connector]

    def may_ask(self, asker: Asker, most: int, now: float) -> bool:
        """Whether a request may be made for one more contact, of `most` that wait. It counts from now on (seconds of a
        monotonic clock), because many strangers may come before the first one's request is there."""
        if asker in self._decided:
            return True
        self._asking = {one: until for one, until in self._asking.items() if until > now}
        others = sum(one.connector == asker.connector and one != asker for one in self._asking)
        if self._pending[asker.connector] + others >= most:
            return False
        self._asking[asker] = now + ASKING_SECONDS
        return True

    def askers(self) -> list[Asker]:
        """All who ever asked."""
        return list(self._decided)

    def find(self, asker: Asker) -> AccessRequest | None:
        """A contact's request."""
        names = self._names.get(asker)
        return self._requests[min(names)] if names else None

    def replace(self, requests: Iterable[AccessRequest]) -> None:
        """All requests of the namespace."""
        self._requests, self._names, self._decided = {}, {}, {}
        self._pending.clear()
        for request in requests:
            self.put(request, tell=False)
        for asker, decision in self._decided.items():
            self.on_decided(asker, decision)

    def put(self, request: AccessRequest, *, tell: bool = True) -> None:
        """A new or changed request."""
        asker = Asker(request.spec.connector, request.spec.contact)
        self._requests[request.metadata.name] = request
        self._names.setdefault(asker, set()).add(request.metadata.name)
        self._settle(asker, tell=tell)

    def remove(self, name: str) -> None:
        """A request that was deleted."""
        request = self._requests.pop(name, None)
        if request is None:
            return
        asker = Asker(request.spec.connector, request.spec.contact)
        names = self._names[asker]
        names.discard(name)
        if not names:
            del self._names[asker]
        self._settle(asker, tell=True)

    def _settle(self, asker: Asker, *, tell: bool) -> None:
        before = self._decided.pop(asker, None)
        if before == "Pending":
            self._pending[asker.connector] -= 1
        said = {self._requests[name].spec.decision for name in self._names.get(asker, ())}
        if not said:
            return
        order: tuple[Decision, ...] = ("Rejected", "Pending", "Approved")
        now = next(decision for decision in order if decision in said)
        self._decided[asker] = now
        self._asking.pop(asker, None)
        if now == "Pending":
            self._pending[asker.connector] += 1
        if tell and now != before:
            self.on_decided(asker, now)
