"""The lease on looking for what was missed, and how far was looked: a Lease object for each connector."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from switchboard.api.meta import GROUP, LABEL_AGENT
from switchboard.kube import errors
from switchboard.kube.resources import LEASES, Object
from switchboard.log.clock import Clock
from switchboard.log.errors import LeaseLost, LogUnavailable
from switchboard.log.records import Backfill
from switchboard.log.resources.objects import stamp
from switchboard.log.resources.store import CONFLICTS_MAX, Store

CURSOR = f"{GROUP}/backfilled-until"
FORGOTTEN = f"{GROUP}/forgotten-until"


class Backfills:
    """Claims and moves cursors, few and rare, and how far messages were forgotten that nobody could tell from missed
    ones."""

    def __init__(self, store: Store, clock: Clock, agent: str) -> None:
        self._store = store
        self._clock = clock
        self._agent = agent
        self._forgotten: dict[str, datetime] = {}
        """What is known to be written, by connector."""

    def _name(self, connector: str) -> str:
        return "switchboard-backfill-" + hashlib.sha256(f"{self._agent}/{connector}".encode()).hexdigest()[:20]

    async def claim(self, connector: str, holder: str, *, seconds: float) -> Backfill | None:
        """As the protocol says."""
        for _ in range(CONFLICTS_MAX):  # a conflict says that it was written, and the holder by whom
            now = self._clock.now()
            known = await self._read(connector)
            fence = 0
            if known is not None:
                spec = known.get("spec", {})
                fence = int(spec.get("leaseTransitions") or 0)
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
            if await self._write(connector, known, spec):
                cursor, forgotten = _mark(known, CURSOR), _mark(known, FORGOTTEN)
                return Backfill(connector, holder, fence + 1, now + timedelta(seconds=lasts), cursor, forgotten)
        return None

    async def done(self, backfill: Backfill, cursor: datetime | None) -> None:
        """As the protocol says."""
        for _ in range(CONFLICTS_MAX):  # a conflict says that it was written, and the fence by whom
            known = await self._read(backfill.connector)
            spec = dict(known.get("spec", {})) if known else {}
            if known is None or spec.get("leaseTransitions") != backfill.fence:
                break
            if await self._write(backfill.connector, known, spec | {"holderIdentity": None}, CURSOR, cursor):
                return
        raise LeaseLost(f"another pod looks for what connector {backfill.connector} missed")

    async def forget(self, connector: str, until: datetime) -> None:
        """Messages of this connector are about to be deleted, the newest of which came then. Raises LogUnavailable."""
        written = self._forgotten.get(connector)
        if written is not None and written >= until:
            return
        for _ in range(CONFLICTS_MAX):
            known = await self._read(connector)
            mark = _mark(known, FORGOTTEN)
            spec = dict(known.get("spec", {})) if known else {}
            if (mark is not None and mark >= until) or await self._write(connector, known, spec, FORGOTTEN, until):
                self._forgotten[connector] = max(filter(None, (mark, until)))
                return
        raise LogUnavailable(f"the lease of connector {connector}'s backfill is changed by others all the time")

    async def _read(self, connector: str) -> Object | None:
        try:
            async with self._store.asking():
                return await self._store.api.get(LEASES, self._name(connector), self._store.namespace)
        except errors.NotFound:
            return None

    async def _write(
        self, connector: str, known: Object | None, spec: Object, mark: str = CURSOR, time: datetime | None = None
    ) -> bool:
        """Whether it was written: `spec`, and `mark` moved to `time` if it was not further."""
        marks = {each: at for each in (CURSOR, FORGOTTEN) if (at := _mark(known, each)) is not None}
        if time is not None:
            marks[mark] = max(time, marks.get(mark, time))
        metadata: Object = {
            "name": self._name(connector),
            "namespace": self._store.namespace,
            "labels": {LABEL_AGENT: self._agent},
            "annotations": {each: stamp(at) for each, at in marks.items()},
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


def _mark(obj: Object | None, name: str) -> datetime | None:
    text = (obj["metadata"].get("annotations") or {}).get(name) if obj else None
    return datetime.fromisoformat(text) if text else None


def _expires(spec: Object) -> datetime:
    return datetime.fromisoformat(spec["renewTime"]) + timedelta(seconds=int(spec["leaseDurationSeconds"]))


def _micro(time: datetime) -> str:
    """metav1.MicroTime: exactly six digits."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
