"""Reconciles a TwilioConnector: its credentials, its number, its Agent, its webhook at Twilio."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import random
from datetime import datetime, timedelta

from switchboard.api.connector import TwilioConnector
from switchboard.api.meta import FINALIZER
from switchboard.api.reasons import ConditionType, ConnectorReason
from switchboard.controller import accounts, metrics
from switchboard.controller.accounts import Accounts, Pool
from switchboard.controller.applying import NotOurs
from switchboard.controller.context import CONNECTOR, Context
from switchboard.controller.credentials import CredentialsBook, problem_of
from switchboard.controller.lull import Lull
from switchboard.controller.queue import Key
from switchboard.controller.records import Records
from switchboard.controller.release import Releaser
from switchboard.kube import resources
from switchboard.kube.resources import Object
from switchboard.providers.errors import ProviderError, UnavailableError
from switchboard.reconcile import agents, binding, connectors, release, webhooks, workloads
from switchboard.reconcile.binding import Binding
from switchboard.reconcile.connectors import ConnectorDecision, Seen
from switchboard.reconcile.outcome import Event, Mend, Problem
from switchboard.reconcile.twilio import Account, Found
from switchboard.reconcile.webhooks import Write

log = logging.getLogger(__name__)

PATIENCE = 3
"""Failures in a row after which a connected connector says that Twilio is not available."""
SOON = 1.0
"""Seconds until what was written and does not show yet is looked at again."""
AT_ONCE = 0.5
"""Seconds that a new connector's first look at Twilio may take before it says that it is being checked."""
ROUNDS = 3
"""Decisions in one pass: the second sees what the first had written."""


class ConnectorReconciler:
    """Brings a connector's webhook at Twilio to what its manifest says, and says how it stands."""

    def __init__(self, context: Context, twilio: Accounts) -> None:
        self._context = context
        self._twilio = twilio
        self._book = CredentialsBook(context.secrets)
        self._records = Records(context)
        self._releaser = Releaser(context, twilio, self._book, self._records)
        self._repairs: dict[Key, list[datetime]] = {}
        self._failures: dict[Key, int] = {}
        self._lull = Lull(context.busy)

    async def reconcile(self, key: Key) -> float | None:
        """One pass; safe to be repeated from any half-done step."""
        context = self._context
        connector = self._read(key)
        if connector is None:
            self._gone(key)
            return None
        if connector.metadata.deletion_timestamp is not None:
            after = await self._releaser.release(key, connector)
            if after is None:
                self._gone(key)
            return after
        now = context.now()
        if connector.status.conditions:
            seen, pool = await self._observe(key, connector)
        else:
            seen, pool = await self._first_look(key, connector, now)
            connector = self._read(key) or connector
        if self._be_patient(key, connector, seen):
            return self._again(key, None)
        decision, events = await self._settle(key, connector, seen, pool, now)
        if not decision.unavailable:
            self._failures.pop(key, None)
        elif not _unavailable(seen):  # it went away between reading and writing
            self._failures[key] = self._failures.get(key, 0) + 1
        obj = self._object(connector)
        held = None if events else self._lull.left(key, obj, decision.status)
        if held is None:
            await context.applier.status(resources.TWILIO_CONNECTORS, obj, decision.status)
            await context.tell(obj, (*events, *decision.events), now)
        if isinstance(seen.account, Problem) and isinstance(seen.found, Found) and not decision.claims:
            self._wake_rivals(key)
        again = self._again(key, decision)
        return again if held is None else min(again, held)

    async def _first_look(self, key: Key, connector: TwilioConnector, now: datetime) -> tuple[Seen, Pool | None]:
        """Looks; says meanwhile that it does, should Twilio take its time."""
        looking = asyncio.ensure_future(self._observe(key, connector))
        try:
            await asyncio.wait({looking}, timeout=AT_ONCE)
            if not looking.done():
                first = agents.first_status([], connector.metadata.generation, now)
                await self._context.applier.status(resources.TWILIO_CONNECTORS, self._object(connector), first)
            return await looking
        finally:
            looking.cancel()

    def _read(self, key: Key) -> TwilioConnector | None:
        return self._context.store.model(TwilioConnector, resources.TWILIO_CONNECTORS, key.namespace, key.name)

    # What there is

    async def _observe(self, key: Key, connector: TwilioConnector) -> tuple[Seen, Pool | None]:
        settings = self._context.settings
        interval = settings.check_interval
        calm = connectors.test_requested(connector) or (
            connector.metadata.generation != connector.status.observed_generation
        )
        if calm:
            self._repairs.pop(key, None)
        seen = Seen(
            binding=self._bind(connector),
            address=binding.public_url(connector.spec.public_url, settings.public_url, settings.allowed_hosts),
            account=Account(""),
            repairs=tuple(self._repairs.get(key, ())),
            interval=interval,
            calm=calm,
        )
        base_url = binding.base_url(connector, settings.twilio_base_url, settings.allowed_hosts)
        if isinstance(base_url, Problem):
            return dataclasses.replace(seen, account=base_url), None
        credentials = await self._book.of(connector)
        if isinstance(credentials, Problem):
            return dataclasses.replace(seen, account=credentials), None
        secret = connector.spec.credentials.secret_ref.name
        # Half an interval, so that every connector's check meets news no older than one.
        max_age = 0.0 if connectors.test_requested(connector) else interval / 2
        try:
            pool = await self._twilio.open(credentials, base_url, max_age)
        except ProviderError as error:
            return dataclasses.replace(seen, account=problem_of(error, secret)), None
        self._book.worked(key, credentials, base_url)
        try:
            found: Found | Problem = await accounts.find(pool, connector, max_age)
        except ProviderError as error:
            found = problem_of(error, secret)
        return dataclasses.replace(
            seen, account=pool.account, found=found, credentials_version=self._rolled_out(connector, seen.binding)
        ), pool

    def _bind(self, connector: TwilioConnector) -> Binding:
        store, namespace = self._context.store, connector.metadata.namespace
        names = store.naming(namespace, connector.metadata.name)
        return binding.bind(connector, [it for name in names if (it := store.agent(namespace, name)) is not None])

    def _rolled_out(self, connector: TwilioConnector, bound: Binding) -> str | None:
        """The version of the credentials that all pods of the live revision run with, if it is the current one."""
        if bound.revision is None:
            return None
        deployment = self._context.store.get(resources.DEPLOYMENTS, connector.metadata.namespace, bound.revision)
        if deployment is None:
            return None
        version = workloads.rolled_out(deployment).get(connector.spec.credentials.secret_ref.name)
        return version if version is not None and version == self._book.version(connector) else None

    def _be_patient(self, key: Key, connector: TwilioConnector, seen: Seen) -> bool:
        """Whether a failure of Twilio's is not worth a word yet: it was connected, and this is one of the first."""
        if not _unavailable(seen):
            return False
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        ready = next((it for it in connector.status.conditions if it.type == ConditionType.READY), None)
        return (
            failures < PATIENCE
            and ready is not None
            and ready.status == "True"
            and not connectors.test_requested(connector)
        )

    # What is done

    async def _settle(
        self, key: Key, connector: TwilioConnector, seen: Seen, pool: Pool | None, now: datetime
    ) -> tuple[ConnectorDecision, list[Event]]:
        """Decides, writes what is asked for, and decides again on what then is."""
        events: list[Event] = []
        seen = self._claim(key, connector, seen)
        decision = connectors.decide(connector, seen, now)
        if decision.claims:
            await self._hold(connector)
        for _ in range(ROUNDS):
            if not decision.writes or pool is None or isinstance(seen.found, Problem):
                break
            fresh = await self._fresh(pool, decision, seen)
            if fresh != seen:
                seen, decision = fresh, connectors.decide(connector, fresh, now)
            if not decision.writes:
                break
            try:
                await self._records.keep(connector, pool.account.sid, decision.writes)
            except NotOurs as error:
                problem = Problem(ConnectorReason.NAME_TAKEN, str(error), Mend.ARRIVE)
                if error.passing:
                    problem = Problem(ConnectorReason.CHECKING, str(error), Mend.WAIT)
                seen = dataclasses.replace(seen, failed=dict.fromkeys(connector.spec.channels, problem))
            else:
                for write in decision.writes:
                    seen = await self._write(connector, pool, write, seen, events=events, now=now)
            decision = connectors.decide(connector, seen, now)
            if seen.failed:
                break
        if pool is not None and not decision.writes and isinstance(seen.found, Found):
            events += await self._put_back(key, connector, seen)
        return decision, events

    def _claim(self, key: Key, connector: TwilioConnector, seen: Seen) -> Seen:
        """Holds what is free of what the connector needs; tells who holds the rest."""
        claims = self._context.claims
        if isinstance(seen.account, Problem) or isinstance(seen.found, Problem):
            problem = seen.account if isinstance(seen.account, Problem) else seen.found
            if (
                isinstance(problem, Problem)
                and problem.reason != ConnectorReason.TWILIO_UNAVAILABLE
                and claims.holds(key)
            ):
                claims.take(key, ())
                self._wake_rivals(key)
            return seen
        url = connectors.wanted_url(connector, seen.address)
        wanted = [place.claim for place in webhooks.places(connector, seen.account, seen.found, url) if place.claim]
        before = claims.holds(key)
        taken = claims.take(key, wanted)
        if before - claims.holds(key):
            self._wake_rivals(key)
        holders = {claim: f"{holder.namespace}/{holder.name}" for claim, holder in taken.items()}
        return dataclasses.replace(seen, holders=holders)

    async def _hold(self, connector: TwilioConnector) -> None:
        """Sets our finalizer before anything is written at Twilio, so that a deletion puts it back."""
        if FINALIZER in connector.metadata.finalizers:
            return
        obj = self._object(connector)
        wanted = [*(obj["metadata"].get("finalizers") or ()), FINALIZER]
        await self._context.applier.finalizers(resources.TWILIO_CONNECTORS, obj, wanted)

    async def _fresh(self, pool: Pool, decision: ConnectorDecision, seen: Seen) -> Seen:
        """Looks once more at what is about to be written: what was read for all may be some minutes old."""
        found = seen.found
        for write in decision.writes:
            try:
                carrier = await accounts.read(pool, write.carrier.kind, write.carrier.sid)
            except ProviderError as error:
                return self._failed(seen, write, error)
            if carrier is not None and isinstance(found, Found):
                found = found.with_carrier(carrier)
        return dataclasses.replace(seen, found=found)

    async def _write(
        self,
        connector: TwilioConnector,
        pool: Pool,
        write: Write,
        seen: Seen,
        *,
        events: list[Event],
        now: datetime,
    ) -> Seen:
        """Sets one webhook at Twilio."""
        key = Key(CONNECTOR, connector.metadata.namespace, connector.metadata.name)
        self._context.leadership.check()
        try:
            carrier = await accounts.write(pool, write.carrier.kind, write.carrier.sid, write.url)
        except ProviderError as error:
            return self._failed(seen, write, error)
        log.info(
            "webhook registered",
            extra={"connector": "/".join(key), "carrier": carrier.kind, "sid": carrier.sid, "repair": write.repair},
        )
        if write.repair:
            metrics.REPAIRS.inc()
            window = timedelta(seconds=seen.interval * connectors.CONTEST_INTERVALS)
            recent = [time for time in self._repairs.get(key, ()) if now - time <= window]
            self._repairs[key] = [*recent, now]
            events.append(connectors.repaired(write, connector))
        if not webhooks.registered(carrier, write.url):
            # A sender's update is answered with 202: what it says then is not always the new state yet.
            message = f"Twilio took the webhook of {carrier.title} and does not show it yet."
            problem = Problem(ConnectorReason.CHECKING, message, Mend.WAIT)
            return dataclasses.replace(seen, failed={**seen.failed, write.channel: problem})
        found = seen.found.with_carrier(carrier) if isinstance(seen.found, Found) else seen.found
        failed = {channel: problem for channel, problem in seen.failed.items() if channel != write.channel}
        return dataclasses.replace(seen, found=found, failed=failed)

    @staticmethod
    def _failed(seen: Seen, write: Write, error: ProviderError) -> Seen:
        if isinstance(error, UnavailableError):
            return dataclasses.replace(seen, found=problem_of(error, ""))
        message = f"Twilio did not take the webhook of {write.carrier.title}: {error}"
        return dataclasses.replace(
            seen, failed={**seen.failed, write.channel: Problem(ConnectorReason.REJECTED, message)}
        )

    async def _put_back(self, key: Key, connector: TwilioConnector, seen: Seen) -> list[Event]:
        """Puts back what is kept of numbers and senders that the connector used and no longer does."""
        if isinstance(seen.account, Problem) or not isinstance(seen.found, Found):
            return []
        url = connectors.wanted_url(connector, seen.address)
        used = [
            place.carrier
            for place in webhooks.places(connector, seen.account, seen.found, url)
            if place.carrier is not None
        ]
        sids = {carrier.sid for carrier in used}
        if all(entry.sid is None or entry.sid in sids for entry in connector.status.channels):
            return []
        record = await self._records.read(connector)
        return await self._releaser.put_back(key, connector, record, release.left_over(record, used))

    # What comes after

    def _again(self, key: Key, decision: ConnectorDecision | None) -> float:
        """Seconds until the next look. Spread, so that what began together does not stay together."""
        if (failures := self._failures.get(key, 0)) > 0:
            return min(2.0 ** min(failures, 10), 60.0)
        if decision is not None and decision.pending:
            return SOON
        interval: float = self._context.settings.check_interval * random.uniform(0.9, 1.0)  # noqa: S311 - jitter
        return min(interval, decision.requeue) if decision is not None and decision.requeue is not None else interval

    def _gone(self, key: Key) -> None:
        held = self._context.claims.holds(key)
        self._context.claims.take(key, ())
        self._book.forget(key)
        self._records.forget(key)
        self._repairs.pop(key, None)
        self._failures.pop(key, None)
        self._lull.forget(key)
        if held:
            self._wake_rivals(key)

    def _wake_rivals(self, key: Key) -> None:
        """Lets those look again that another connector was in the way of."""
        store = self._context.store
        for obj in store.all(resources.TWILIO_CONNECTORS):
            metadata = obj["metadata"]
            other = Key(CONNECTOR, metadata["namespace"], metadata["name"])
            channels = (obj.get("status") or {}).get("channels") or ()
            if other != key and any(it.get("reason") == ConnectorReason.NUMBER_CONFLICT for it in channels):
                self._context.enqueue(other)

    def _object(self, connector: TwilioConnector) -> Object:
        metadata = connector.metadata
        found = self._context.store.get(resources.TWILIO_CONNECTORS, metadata.namespace, metadata.name)
        if found is None:  # it went while it was being reconciled
            return {
                "apiVersion": resources.TWILIO_CONNECTORS.api_version,
                "kind": CONNECTOR,
                "metadata": metadata.manifest(),
                "status": {},
            }
        return found


def _unavailable(seen: Seen) -> bool:
    """Whether Twilio did not answer when it was read."""
    problem = seen.account if isinstance(seen.account, Problem) else seen.found
    return isinstance(problem, Problem) and problem.reason == ConnectorReason.TWILIO_UNAVAILABLE
