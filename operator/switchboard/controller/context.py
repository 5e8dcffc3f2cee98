"""What both reconcilers work with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from switchboard.controller.applying import Applier
from switchboard.controller.claims import Claims
from switchboard.controller.lease import Leadership
from switchboard.controller.secrets import SecretReader
from switchboard.controller.store import Store
from switchboard.kube.client import KubeApi
from switchboard.kube.resources import Object
from switchboard.reconcile.outcome import Event
from switchboard.settings import OperatorSettings

AGENT = "Agent"
CONNECTOR = "TwilioConnector"


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Context:
    """The operator's parts."""

    api: KubeApi
    store: Store
    applier: Applier
    secrets: SecretReader
    claims: Claims
    leadership: Leadership
    settings: OperatorSettings
    enqueue: Callable[..., None]
    """Takes a Key and, optionally, the seconds to wait."""
    now: Callable[[], datetime] = utc_now
    busy: Callable[[], bool] = lambda: False
    """Whether many objects wait to be reconciled."""

    async def tell(self, obj: Object, events: Iterable[Event], now: datetime) -> None:
        """Posts Events about an object."""
        for event in events:
            await self.applier.tell(obj, event, now)
