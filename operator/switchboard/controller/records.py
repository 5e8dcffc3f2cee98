"""What stood at Twilio before us, kept in a Secret of the connector's own and in memory."""

from __future__ import annotations

from collections.abc import Sequence

from switchboard.api.connector import TwilioConnector
from switchboard.controller import metrics
from switchboard.controller.applying import apply, check_owner
from switchboard.controller.context import CONNECTOR, Context
from switchboard.controller.queue import Key
from switchboard.kube.errors import AlreadyExists, NotFound
from switchboard.kube.resources import SECRETS, Object
from switchboard.reconcile import release
from switchboard.reconcile.owners import is_of
from switchboard.reconcile.release import Record
from switchboard.reconcile.webhooks import Write


class Records:
    """Records by connector. In memory they outlive the Secret, which a namespace's deletion may take first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[Key, Record] = {}

    async def read(self, connector: TwilioConnector) -> Record:
        """What is kept of a connector; nothing where nothing is known."""
        key = _key(connector)
        if key in self._known:
            return self._known[key]
        found = await self._find(connector)
        if found is None or not is_of(connector.metadata.uid, found):
            return Record()
        record = self._known[key] = release.read(found.get("data") or {})
        return record

    async def keep(self, connector: TwilioConnector, account: str, asked: Sequence[Write]) -> None:
        """Keeps what is about to be overwritten, before it is.

        Raises:
            NotOurs: a Secret of that name is somebody else's.
        """
        key = _key(connector)
        if key not in self._known:
            first = release.kept(Record(), account, asked, connector)
            if first == Record():
                return  # whatever is kept already stays as it is, and need not be read
            try:
                await self._context.api.create(SECRETS, release.secret(connector, first))
            except AlreadyExists:
                pass  # something was kept before: it is read, and added to
            else:
                metrics.WRITES.labels("create", SECRETS.plural).inc()
                self._known[key] = first
                return
        before = await self.read(connector)
        await self.write(connector, release.kept(before, account, asked, connector))

    async def write(self, connector: TwilioConnector, record: Record) -> None:
        """Writes a record if it is not what was written last.

        Raises:
            NotOurs: a Secret of that name is somebody else's.
        """
        key = _key(connector)
        if self._known.get(key) == record:
            return
        wanted: Object = release.secret(connector, record)
        found = await self._find(connector)
        if found is None:
            await self._context.api.create(SECRETS, wanted)
        else:
            check_owner(wanted, found)
            await apply(self._context.api, SECRETS, wanted, found["metadata"]["uid"])
        metrics.WRITES.labels("create" if found is None else "apply", SECRETS.plural).inc()
        self._known[key] = record

    async def _find(self, connector: TwilioConnector) -> Object | None:
        name, namespace = release.secret_name(connector.metadata.name), connector.metadata.namespace
        try:
            return await self._context.api.get(SECRETS, name, namespace)
        except NotFound:
            return None

    def forget(self, key: Key) -> None:
        """A connector is gone."""
        self._known.pop(key, None)


def _key(connector: TwilioConnector) -> Key:
    return Key(CONNECTOR, connector.metadata.namespace, connector.metadata.name)
