"""Kubernetes Events for people: what a pod has to tell of a connector, without numbers or texts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from switchboard.api.meta import API_VERSION
from switchboard.kube import events
from switchboard.kube.client import KubeApi
from switchboard.kube.errors import KubeError
from switchboard.kube.resources import Object
from switchboard.log.records import Message
from switchboard.webhook.connectors import Connector

log = logging.getLogger(__name__)

DELIVERY_UNKNOWN = "DeliveryUnknown"


@dataclass(frozen=True, slots=True)
class Events:
    """Writes Events. One that cannot be written is logged: an Event never stands in the way of work."""

    kube: KubeApi
    namespace: str
    pod: str

    async def delivery_unknown(self, connector: Connector | None, message: Message) -> None:
        """Tells that nobody confirmed a reply."""
        if connector is None:
            return
        await self._warn(
            connector,
            DELIVERY_UNKNOWN,
            f"Nobody confirmed that Twilio took the reply {message.name}. It was not sent again: look in Twilio's log, "
            "and answer by hand if it is missing.",
        )

    async def _warn(self, connector: Connector, reason: str, text: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        name = f"{connector.name[:200].rstrip('-.')}.{uuid4().hex[:16]}"
        event: Object = {
            "metadata": {"name": name, "namespace": self.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": "TwilioConnector",
                "name": connector.name,
                "namespace": self.namespace,
                "uid": connector.uid,
            },
            "type": "Warning",
            "reason": reason,
            "message": text,
            "source": {"component": "switchboard-webhook"},
            "reportingComponent": "switchboard.dev/webhook",
            "reportingInstance": self.pod[:128],
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await events.post(self.kube, event)
        except KubeError as error:
            log.warning("an Event could not be written", extra={"reason": reason, "error": str(error)})
