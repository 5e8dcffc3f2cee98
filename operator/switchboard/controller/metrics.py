"""What the operator counts. No name, number or id is a label."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from switchboard.api.reasons import ConditionType

RECONCILES = Counter("switchboard_reconciles_total", "Objects reconciled.", ["kind", "result"])
SECONDS = Histogram(
    "switchboard_reconcile_seconds",
    "Seconds that reconciling one object took.",
    ["kind"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
WAITING = Gauge("switchboard_queue_waiting", "Objects that wait to be reconciled.")
LEADER = Gauge("switchboard_leader", "1 while this process may write.")
WRITES = Counter("switchboard_kubernetes_writes_total", "Writes to the Kubernetes API.", ["verb", "resource"])
TWILIO_REQUESTS = Counter("switchboard_twilio_requests_total", "Operations asked of Twilio.", ["operation", "result"])
REPAIRS = Counter(
    "switchboard_webhook_repairs_total", "Webhooks at Twilio that somebody changed and that were put back."
)
CONNECTORS = Gauge("switchboard_connectors", "TwilioConnectors by state.", ["reason"])


def count_connectors(connectors: Iterable[Mapping[str, Any]]) -> None:
    """Counts TwilioConnectors by the reason of their `Ready` condition."""
    counts = collections.Counter(_reason(connector) for connector in connectors)
    CONNECTORS.clear()
    for reason, count in counts.items():
        CONNECTORS.labels(reason).set(count)


def _reason(connector: Mapping[str, Any]) -> str:
    conditions = (connector.get("status") or {}).get("conditions") or ()
    return next((str(it.get("reason")) for it in conditions if it.get("type") == ConditionType.READY), "Unknown")
