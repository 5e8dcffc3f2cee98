"""Events go after an hour, as kube-apiserver's --event-ttl has it: memory follows what is of use."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kubesandbox.ages import parse_time

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster

TTL_SECONDS = 3600.0
INTERVAL_SECONDS = 60.0


async def expire_events(cluster: Cluster) -> None:
    """Drop old Events, every minute, until cancelled."""
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        drop_expired(cluster, datetime.now(UTC))


def drop_expired(cluster: Cluster, now: datetime) -> int:
    """Drop the Events that nobody has written to for the TTL; gives how many."""
    table, dropped = cluster.store.table("", "events"), 0
    for version in list(table.scan()):
        obj = version.object
        times = (obj.get("lastTimestamp"), obj.get("eventTime"), obj["metadata"]["creationTimestamp"])
        found = [at for at in (parse_time(text) for text in times if text) if at is not None]
        if found and (now - max(found)).total_seconds() > TTL_SECONDS:
            table.remove(obj["metadata"]["namespace"], obj["metadata"]["name"])
            dropped += 1
    return dropped
