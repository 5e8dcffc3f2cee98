"""The key of the names that stand for contacts: a Secret of its own in each namespace."""

from __future__ import annotations

from datetime import datetime, timedelta

from switchboard.api.reasons import AgentReason
from switchboard.api.runtime import CONTACTS_KEY, CONTACTS_SECRET
from switchboard.controller import metrics
from switchboard.controller.context import Context
from switchboard.kube.errors import AlreadyExists, Forbidden, NotFound
from switchboard.kube.resources import SECRETS, Object
from switchboard.reconcile import contacts
from switchboard.reconcile.outcome import Mend, Problem

LOOK_AGAIN = timedelta(minutes=10)
"""After which a namespace's Secret is looked for again. It is not watched: nothing may refer to it, so it carries no
label for use."""


class Contacts:
    """Makes the Secrets, and never changes one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, tuple[str, datetime]] = {}

    async def ensure(self, namespace: str) -> str | Problem:
        """The uid of a namespace's Secret, made if there is none; or why it cannot be used."""
        known, now = self._known.get(namespace), self._context.now()
        if known is not None and now - known[1] < LOOK_AGAIN:
            return known[0]
        found = await self._find(namespace) or await self._make(namespace)
        if found is None:
            return ""  # the namespace ends
        if CONTACTS_KEY not in (found.get("data") or {}):
            return Problem(
                AgentReason.NAME_TAKEN,
                f"The Secret {CONTACTS_SECRET} has no key {CONTACTS_KEY}, of which the names of contacts are made. "
                "Delete it: the operator makes another.",
                Mend.ARRIVE,
            )
        uid = str(found["metadata"]["uid"])
        self._known[namespace] = (uid, now)
        return uid

    def forget(self, namespace: str) -> None:
        """Another namespace may come by this name."""
        self._known.pop(namespace, None)

    async def _find(self, namespace: str) -> Object | None:
        try:
            return await self._context.api.get(SECRETS, CONTACTS_SECRET, namespace)
        except NotFound:
            return None

    async def _make(self, namespace: str) -> Object | None:
        """The new Secret, or the one that somebody else made meanwhile; None if the namespace takes no more."""
        try:
            made = await self._context.api.create(SECRETS, contacts.secret(namespace))
        except AlreadyExists:
            return await self._find(namespace)
        except Forbidden as error:
            if error.namespace_terminating:
                return None
            raise
        metrics.WRITES.labels("create", SECRETS.plural).inc()
        return made
