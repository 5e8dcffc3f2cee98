"""The end of a connector: the webhook that was there before is put back, where ours still stands."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from switchboard.api.connector import TwilioConnector
from switchboard.api.meta import FINALIZER
from switchboard.api.reasons import ConnectorReason
from switchboard.controller import accounts
from switchboard.controller.accounts import Accounts
from switchboard.controller.applying import NotOurs
from switchboard.controller.context import Context
from switchboard.controller.credentials import CredentialsBook
from switchboard.controller.queue import Key
from switchboard.controller.records import Records
from switchboard.kube import resources
from switchboard.kube.errors import Conflict, Forbidden, NotFound
from switchboard.providers.errors import ProviderError, UnavailableError
from switchboard.providers.twilio.credentials import Credentials
from switchboard.reconcile import binding, connectors, release, webhooks
from switchboard.reconcile.outcome import Event, Problem
from switchboard.reconcile.release import Previous, Record

log = logging.getLogger(__name__)

PAUSE = 5.0
"""Seconds between two tries to put a webhook back."""


class NoCredentials(Exception):
    """Nobody knows credentials of this account any more."""


class Releaser:
    """Lets go of what connectors hold at Twilio. A number or a sender itself is never released."""

    def __init__(self, context: Context, twilio: Accounts, book: CredentialsBook, records: Records) -> None:
        self._context = context
        self._twilio = twilio
        self._book = book
        self._records = records

    async def release(self, key: Key, connector: TwilioConnector) -> float | None:
        """One try; the seconds after which the next is due, or None once the connector may go."""
        if FINALIZER not in connector.metadata.finalizers:
            return None
        now = self._context.now()
        record = await self._records.read(connector)
        try:
            for previous in release.to_release(connector, record):
                event = await self._restore(key, connector, previous)
                record = release.without(record, [previous.sid])
                await self._tell(connector, event, now)
        except (NoCredentials, ProviderError) as error:
            if not await self._overdue(connector, error, now):
                log.info("a webhook is not put back yet", extra={"connector": "/".join(key), "error": str(error)})
                wait = error.retry_after if isinstance(error, ProviderError) else None
                return min(max(PAUSE, wait or 0.0), self._left(connector, now))
            await self._tell(connector, _given_up(error), now)
        await self._let_go(connector)
        return None

    async def put_back(
        self, key: Key, connector: TwilioConnector, record: Record, places: Sequence[Previous]
    ) -> list[Event]:
        """Puts back what is kept of places that the connector no longer uses. What fails is left for its end."""
        events: list[Event] = []
        for previous in places:
            try:
                event = await self._restore(key, connector, previous)
            except (NoCredentials, ProviderError) as error:
                log.warning("a webhook is not put back", extra={"connector": "/".join(key), "error": str(error)})
                continue
            record = release.without(record, [previous.sid])
            try:
                await self._records.write(connector, record)
            except NotOurs as error:  # it is put back already: what a foreign Secret says does not matter any more
                log.warning("a record is not kept", extra={"connector": "/".join(key), "error": str(error)})
            if event is not None:
                events.append(event)
        return events

    async def _restore(self, key: Key, connector: TwilioConnector, previous: Previous) -> Event | None:
        credentials, base_url = await self._credentials(key, connector, previous.account)
        pool = await self._twilio.open(credentials, base_url, self._context.settings.check_interval)
        current = await accounts.read(pool, previous.kind, previous.sid)
        if current is None or not self._is_ours(connector, current.url):
            return None
        self._context.leadership.check()
        written = await accounts.write(pool, previous.kind, previous.sid, previous.url, previous.method)
        what = webhooks.host_of(previous.url)
        message = (
            f"The webhook of {written.title} leads to {what} again."
            if what
            else (f"The webhook of {written.title} was taken away: it had none before.")
        )
        return Event(ConnectorReason.WEBHOOK_RESTORED, message)

    def _is_ours(self, connector: TwilioConnector, url: str) -> bool:
        """Whether a URL is the one that we registered for this very connector."""
        settings, status = self._context.settings, connector.status
        address = binding.public_url(connector.spec.public_url, settings.public_url, settings.allowed_hosts)
        ours = {connectors.wanted_url(connector, address), status.webhook_url}
        ours |= {entry.webhook_url for entry in status.channels}
        return webhooks.points_here(url, connector) and any(webhooks.same_address(url, known) for known in ours)

    async def _credentials(self, key: Key, connector: TwilioConnector, account: str) -> tuple[Credentials, str]:
        """The connector's credentials if they are of this account, else the last valid ones.

        Raises:
            NoCredentials: there are none.
        """
        settings = self._context.settings
        found = await self._book.of(connector)
        base_url = binding.base_url(connector, settings.twilio_base_url, settings.allowed_hosts)
        remembered = self._book.remembered(key, account)
        if not isinstance(found, Problem) and not isinstance(base_url, Problem) and found.account_sid == account:
            if remembered is not None and remembered[0] != found:
                # The Secret changed at the last moment, maybe to nonsense: the ones that are known to work go first.
                try:
                    await self._twilio.open(*remembered, settings.check_interval)
                except UnavailableError:
                    raise
                except ProviderError:
                    return found, base_url
                return remembered
            return found, base_url
        if remembered is None:
            raise NoCredentials(f"there are no credentials of the account {account} any more")
        return remembered

    async def _overdue(self, connector: TwilioConnector, error: Exception, now: datetime) -> bool:
        """Whether the connector may go although its webhook was not put back."""
        if self._left(connector, now) <= 0:
            return True
        return isinstance(error, NoCredentials) and await self._terminating(connector.metadata.namespace)

    def _left(self, connector: TwilioConnector, now: datetime) -> float:
        since = connector.metadata.deletion_timestamp or now
        return max(0.0, self._context.settings.release_seconds - (now - since).total_seconds())

    async def _terminating(self, namespace: str) -> bool:
        """Whether the namespace goes as well: a missing Secret then never comes back."""
        try:
            found = await self._context.api.get(resources.NAMESPACES, namespace)
        except NotFound:
            return True
        except Forbidden:  # an operator of named namespaces may not be allowed to look
            return False
        return bool(found["metadata"].get("deletionTimestamp"))

    async def _tell(self, connector: TwilioConnector, event: Event | None, now: datetime) -> None:
        found = self._context.store.get(
            resources.TWILIO_CONNECTORS, connector.metadata.namespace, connector.metadata.name
        )
        if event is not None and found is not None:
            await self._context.applier.tell(found, event, now)

    async def _let_go(self, connector: TwilioConnector) -> None:
        store = self._context.store
        found = store.get(resources.TWILIO_CONNECTORS, connector.metadata.namespace, connector.metadata.name)
        if found is None:
            return
        wanted = [it for it in found["metadata"].get("finalizers") or () if it != FINALIZER]
        try:
            await self._context.applier.finalizers(resources.TWILIO_CONNECTORS, found, wanted)
        except NotFound:
            store.remove(resources.TWILIO_CONNECTORS, connector.metadata.namespace, connector.metadata.name)
        except Conflict:
            fresh = await self._context.api.get(
                resources.TWILIO_CONNECTORS, connector.metadata.name, connector.metadata.namespace
            )
            store.put(resources.TWILIO_CONNECTORS, fresh)
            raise


def _given_up(error: Exception) -> Event:
    message = (
        f"The connector goes, and its webhook was not put back: {error} If it still leads here, change it in Twilio's "
        "console."
    )
    return Event(ConnectorReason.WEBHOOK_NOT_RESTORED, message, "Warning")
