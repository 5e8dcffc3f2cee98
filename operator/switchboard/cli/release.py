"""`switchboard release`: before an uninstall, puts back at Twilio what stood there before.

The chart runs it as a Job before Helm deletes anything. It ends the operator and takes its Lease, so that nobody else
writes meanwhile, then does for every connector what its deletion would do. The connectors stay. It may be run again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from switchboard.api.connector import TwilioConnector
from switchboard.api.meta import FINALIZER
from switchboard.api.reasons import ConditionType, ConnectorReason
from switchboard.controller.accounts import Accounts
from switchboard.controller.applying import Applier
from switchboard.controller.claims import Claims
from switchboard.controller.context import CONNECTOR, Context
from switchboard.controller.credentials import CredentialsBook
from switchboard.controller.lease import Leadership, Lease, LeaseLost
from switchboard.controller.queue import Key
from switchboard.controller.records import Records
from switchboard.controller.release import Releaser
from switchboard.controller.secrets import SecretReader
from switchboard.controller.store import Store
from switchboard.kube.client import KubeApi, connect
from switchboard.kube.errors import Conflict, KubeError, NotFound
from switchboard.kube.resources import DEPLOYMENTS, TWILIO_CONNECTORS
from switchboard.providers.twilio.api import TwilioConnections
from switchboard.reconcile.conditions import Conditions
from switchboard.settings import OperatorSettings

log = logging.getLogger(__name__)

AT_ONCE = 8
RELEASED = "The operator was uninstalled, and the webhook at Twilio is no longer ours. Install it again to connect."
PAUSE = 1.0
"""Seconds after which a failure of the API server is tried again."""


async def release(settings: OperatorSettings, deployment: str | None) -> int:
    """Ends the operator's Deployment, if one is named, and releases every connector of the watched namespaces.

    What Twilio does not take within `release_seconds` is told by an Event and let go, as when a connector is deleted.

    Returns:
        0 when no connector holds its finalizer any more; 1 when the API server refused, with the reason logged.
    """
    async with await connect(user_agent="switchboard-release") as api:
        try:
            if deployment is not None:
                await _stop(api, deployment, settings.lease_namespace or api.access.namespace or "default")
            connections = TwilioConnections()
            try:
                async with _Lead(api, settings) as leadership:
                    return await _Release(api, settings, leadership, Accounts(connections)).run()
            finally:
                await connections.close()
        except (KubeError, LeaseLost) as error:
            log.warning("not released", extra={"error": str(error)})
            return 1


async def _stop(api: KubeApi, deployment: str, namespace: str) -> None:
    try:
        await api.merge_patch(DEPLOYMENTS, deployment, namespace, {"spec": {"replicas": 0}})
        log.info("the operator is ended", extra={"deployment": f"{namespace}/{deployment}"})
    except NotFound:
        log.info("there is no operator to end", extra={"deployment": f"{namespace}/{deployment}"})


class _Lead:
    """The operator's Lease, for as long as the release takes: whoever holds it is the only one that writes."""

    def __init__(self, api: KubeApi, settings: OperatorSettings) -> None:
        self._patience = settings.release_seconds
        self._leadership = Leadership()
        if settings.lease_namespace is not None:
            self._leadership = Lease(
                api,
                namespace=settings.lease_namespace,
                name=settings.lease_name,
                identity=settings.identity or "switchboard-release",
                seconds=settings.lease_seconds,
            )
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Leadership:
        try:
            async with asyncio.timeout(self._patience):
                await self._leadership.acquire()
        except TimeoutError:
            raise LeaseLost(
                "another operator holds the Lease and does not end: scale its Deployment to 0, then try again"
            ) from None
        self._keeping = asyncio.create_task(self._leadership.keep())
        return self._leadership

    async def __aexit__(self, *_: object) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._leadership.release()


class _Release:
    """One run over all connectors."""

    def __init__(self, api: KubeApi, settings: OperatorSettings, leadership: Leadership, twilio: Accounts) -> None:
        self._api = api
        self._settings = settings
        self._store = Store()
        applier = Applier(api, self._store, instance=settings.identity or "switchboard-release")
        self._context = Context(
            api=api,
            store=self._store,
            applier=applier,
            secrets=SecretReader(api),
            claims=Claims(),
            leadership=leadership,
            settings=settings,
            enqueue=lambda key: None,
        )
        book = CredentialsBook(self._context.secrets)
        self._releaser = Releaser(self._context, twilio, book, Records(self._context))
        self._began = self._context.now()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> int:
        """Releases all; the exit code."""
        keys = [key for namespace in self._settings.namespaces or (None,) for key in await self._list(namespace)]
        results: Sequence[bool] = await asyncio.gather(*(self._one(key) for key in keys))
        log.info("released", extra={"connectors": sum(results), "of": len(results)})
        return 0 if all(results) else 1

    async def _list(self, namespace: str | None) -> list[Key]:
        try:
            listing = await self._api.list(TWILIO_CONNECTORS, namespace)
        except NotFound:  # the CRDs are gone: there is nothing to release
            return []
        held = [obj for obj in listing.items if FINALIZER in (obj["metadata"].get("finalizers") or ())]
        for obj in held:
            # A list's items do not say what they are, and Events about them must.
            self._store.put(
                TWILIO_CONNECTORS, {**obj, "apiVersion": TWILIO_CONNECTORS.api_version, "kind": TWILIO_CONNECTORS.kind}
            )
        return [Key(CONNECTOR, obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in held]

    async def _one(self, key: Key) -> bool:
        async with self._places:
            while True:
                try:
                    after = await self._try(key)
                except KubeError as error:
                    left = self._settings.release_seconds - (self._context.now() - self._began).total_seconds()
                    if not isinstance(error, Conflict) and left <= 0:
                        log.warning("not released", extra={"connector": "/".join(key[1:]), "error": str(error)})
                        return False
                    after = error.retry_after or PAUSE
                if after is None:
                    return True
                await asyncio.sleep(after)

    async def _try(self, key: Key) -> float | None:
        """One try; the seconds after which the next is due."""
        connector = self._store.model(TwilioConnector, TWILIO_CONNECTORS, key.namespace, key.name)
        if connector is None:
            return None
        # To Twilio and to the record this is the connector's end, which began with this run.
        since = connector.metadata.deletion_timestamp or self._began
        ending = connector.metadata.model_copy(update={"deletion_timestamp": since})
        after = await self._releaser.release(key, connector.model_copy(update={"metadata": ending}))
        if after is None:
            await self._say(key)
        return after

    async def _say(self, key: Key) -> None:
        """`Connected` would be a lie from now on, and nobody else is left to take it back."""
        found = self._store.get(TWILIO_CONNECTORS, key.namespace, key.name)
        connector = self._store.model(TwilioConnector, TWILIO_CONNECTORS, key.namespace, key.name)
        if found is None or connector is None:
            return
        conditions = Conditions(connector.status.conditions, connector.metadata.generation, self._context.now())
        for kind in (ConditionType.CREDENTIALS_VALID, ConditionType.AGENT_BOUND):
            conditions.keep(kind)
        for kind in (ConditionType.READY, ConditionType.WEBHOOK_REGISTERED):
            conditions.set(kind, "False", ConnectorReason.RELEASING, RELEASED)
        status = {"conditions": conditions.manifest(), "channels": [], "webhookURL": None}
        await self._context.applier.status(TWILIO_CONNECTORS, found, status)
