"""The lease on looking for what was missed, and how far was looked: a Lease object for each connector."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from switchboard.api.meta import GROUP, LABEL_AGENT
from switchboard.kube import errors
from switchboard.kube.resources import LEASES, Object
from switchboard.log.clock import Clock
from switchboard.log.errors import LeaseLost
from switchboard.log.records import Backfill
from switchboard.log.resources.objects import stamp
from switchboard.log.resources.store import CONFLICTS_MAX, Store

CURSOR = f"{GROUP}/backfilled-until"


class Backfills:
    """Claims and moves cursors. Few and rare: nothing is kept in memory."""

    def __init__(self, store: Store, clock: Clock, agent: str) -> None:
        self._store = store
        self._clock = clock
        self._agent = agent

    def _name(self, connector: str) -> str:
        return "switchboard-backfill-" + hashlib.sha256(f"{self._agent}/{connector}".encode()).hexdigest()[:20]

    async def claim(self, connector: str, holder: str, *, seconds: float) -> Backfill | None:
        """As the protocol says."""
        for _ in range(CONFLICTS_MAX):  # a conflict says that it was written, and the holder by whom
            now = self._clock.now()
            known = await self._read(connector)
            fence, cursor = 0, None
            if known is not None:
                spec = known.get("spec", {})
                fence, cursor = int(spec.get("leaseTransitions") or 0), _cursor(known)
                if spec.get("holderIdentity") not in {None, "", holder} and now < _expires(spec):
                    return None
            lasts = max(1, round(seconds))
            spec = {
                "holderIdentity": holder,
                "leaseDurationSeconds": lasts,
                "acquireTime": _micro(now),
                "renewTime": _micro(now),
                "leaseTransitions": fence + 1,
            }
            if await self._write(connector, known, spec, cursor):
                return Backfill(connector, holder, fence + 1, now + timedelta(seconds=lasts), cursor)
        return None

    async def done(self, backfill: Backfill, cursor: datetime | None) -> None:
        """As the protocol says."""
        for _ in range(CONFLICTS_MAX):  # a conflict says that it was written, and the fence by whom
            known = await self._read(backfill.connector)
            spec = dict(known.get("spec", {})) if known else {}
            if known is None or spec.get("leaseTransitions") != backfill.fence:
                break
            before = _cursor(known)
            furthest = max((time for time in (before, cursor) if time is not None), default=None)
            if await self._write(backfill.connector, known, spec | {"holderIdentity": None}, furthest):
                return
        raise LeaseLost(f"another pod looks for what connector {backfill.connector} missed")

    async def _read(self, connector: str) -> Object | None:
        try:
            async with self._store.asking():
                return await self._store.api.get(LEASES, self._name(connector), self._store.namespace)
        except errors.NotFound:
            return None

    async def _write(self, connector: str, known: Object | None, spec: Object, cursor: datetime | None) -> bool:
        metadata: Object = {
            "name": self._name(connector),
            "namespace": self._store.namespace,
            "labels": {LABEL_AGENT: self._agent},
            "annotations": {CURSOR: stamp(cursor)} if cursor else {},
        }
        try:
            async with self._store.asking():
                if known is None:
                    await self._store.api.create(LEASES, {"metadata": metadata, "spec": spec})
                else:
                    metadata["resourceVersion"] = known["metadata"]["resourceVersion"]
                    await self._store.api.replace(LEASES, {"metadata": metadata, "spec": spec})
        except (errors.Conflict, errors.AlreadyExists, errors.NotFound):
            return False
        return True


def _cursor(obj: Object) -> datetime | None:
    text = (obj["metadata"].get("annotations") or {}).get(CURSOR)
    return datetime.fromisoformat(text) if text else None


def _expires(spec: Object) -> datetime:
    return datetime.fromisoformat(spec["renewTime"]) + timedelta(seconds=int(spec["leaseDurationSeconds"]))


def _micro(time: datetime) -> str:
    """metav1.MicroTime: exactly six digits."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
