"""Leader election by a Lease: one operator writes, another stands by.

https://kubernetes.io/docs/concepts/architecture/leases/#leader-election
"""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, datetime

from switchboard.controller import metrics
from switchboard.kube.client import KubeApi
from switchboard.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from switchboard.kube.resources import LEASES, Object

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """This process may not write any more."""


class Leadership:
    """Whether this process may write. Without a Lease it always may."""

    def check(self) -> None:
        """Raises LeaseLost."""

    async def acquire(self) -> None:
        """Returns once this process may write."""
        metrics.LEADER.set(1)

    async def keep(self) -> None:
        """Returns when it may no longer."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Lets another process write at once."""


class Lease(Leadership):
    """A Lease that is renewed at a third of its duration, and counts as lost well before others may take it.

    Another holder's clock is not trusted: its Lease has run out when it was not renewed while we watched for its whole
    duration.
    """

    def __init__(self, api: KubeApi, *, namespace: str, name: str, identity: str, seconds: float) -> None:
        self._api = api
        self._namespace, self._name, self._identity, self._seconds = namespace, name, identity, seconds
        self._renewed: float | None = None
        self._observed: tuple[str, float] | None = None

    def check(self) -> None:
        """Raises LeaseLost, while there is still a third of the duration left for a request that is under way."""
        if self._renewed is None or self._now() - self._renewed > self._seconds * 2 / 3:
            raise LeaseLost(f"the Lease {self._namespace}/{self._name} was not renewed in time")

    async def acquire(self) -> None:
        """Waits until the Lease is ours."""
        while True:
            try:
                if await self._try():
                    log.info("leading", extra={"lease": self._name, "identity": self._identity})
                    metrics.LEADER.set(1)
                    return
            except KubeError as error:
                log.warning("the Lease cannot be read or written", extra={"error": str(error)})
            await asyncio.sleep(random.uniform(0.5, 1.0) * min(2.0, self._seconds / 5))  # noqa: S311 - jitter

    async def keep(self) -> None:
        """Renews the Lease; returns when it is lost."""
        while True:
            await asyncio.sleep(self._seconds / 3)
            try:
                async with asyncio.timeout(self._seconds / 3):
                    if not await self._try():
                        break
            except (KubeError, TimeoutError) as error:
                log.warning("the Lease was not renewed", extra={"error": str(error)})
                try:
                    self.check()
                except LeaseLost:
                    break
        metrics.LEADER.set(0)
        self._renewed = None
        log.error("the Lease is lost", extra={"lease": self._name, "identity": self._identity})

    async def release(self) -> None:
        """Empties the Lease if it is ours, so that the next one does not wait."""
        metrics.LEADER.set(0)
        if self._renewed is None:
            return
        self._renewed = None
        try:
            lease = await self._api.get(LEASES, self._name, self._namespace)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"]["holderIdentity"] = ""
                await self._api.replace(LEASES, lease)
        except KubeError as error:
            log.info("the Lease was not released", extra={"error": str(error)})

    async def _try(self) -> bool:
        """One attempt to take or renew it."""
        begun = self._now()
        try:
            lease = await self._api.get(LEASES, self._name, self._namespace)
        except NotFound:
            lease = None
        if lease is not None and not self._free(lease):
            return False
        try:
            if lease is None:
                await self._api.create(LEASES, self._next(None))
            else:
                await self._api.replace(LEASES, self._next(lease))
        except (Conflict, AlreadyExists):
            return False
        self._renewed = begun
        return True

    def _free(self, lease: Object) -> bool:
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") in (None, "", self._identity):
            return True
        version = str(lease["metadata"]["resourceVersion"])
        if self._observed is None or self._observed[0] != version:
            self._observed = (version, self._now())
            return False
        return self._now() - self._observed[1] > float(spec.get("leaseDurationSeconds") or self._seconds)

    def _next(self, lease: Object | None) -> Object:
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old = (lease or {}).get("spec") or {}
        ours = old.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._seconds)),
            "renewTime": time,
            "acquireTime": old.get("acquireTime", time) if ours else time,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (0 if ours or lease is None else 1),
        }
        metadata = lease["metadata"] if lease is not None else {"name": self._name, "namespace": self._namespace}
        return {"metadata": metadata, "spec": spec}

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
