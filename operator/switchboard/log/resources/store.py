"""The API server as the log needs it: writes that the index learns of at once, errors in the log's own words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from switchboard.kube import errors
from switchboard.kube.client import KubeApi
from switchboard.kube.resources import CONVERSATIONS, EXECUTIONS, MESSAGES, Object, ResourceType
from switchboard.log.errors import LogError, LogUnavailable
from switchboard.log.resources.index import Index
from switchboard.log.resources.objects import KeptExecution, KeptMessage

log = logging.getLogger(__name__)

CONFLICTS_MAX = 20
"""Tries of a compare-and-set: each failure means that somebody else's succeeded."""
ASK_SECONDS = 0.5
"""How long a silent API server is left alone: less than a readiness probe's failures take to count."""
NOBODY = "nobody"
"""No conversation has such a name: that there is none is an answer too, and costs little."""


class Store:
    """Creates, patches and deletes; what comes back is in the index before the call returns."""

    def __init__(self, api: KubeApi, namespace: str, index: Index) -> None:
        self.api = api
        self.namespace = namespace
        self.index = index
        self.silent = asyncio.Event()
        """Set while the API server has not answered since it was asked last."""

    async def ask_again(self) -> None:
        """Asks a silent API server until it answers, for ever: a pod that is not ready gets no message that would."""
        while True:
            await self.silent.wait()
            await asyncio.sleep(ASK_SECONDS)
            with suppress(LogUnavailable, errors.NotFound):
                async with self.asking():
                    await self.api.get(CONVERSATIONS, NOBODY, self.namespace)

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Turns what the API server cannot do now into LogUnavailable; lets through what is an answer."""
        try:
            yield
        except (errors.NotFound, errors.AlreadyExists, errors.Conflict) as error:
            self.silent.clear()
            if error.namespace_terminating:
                raise LogUnavailable(f"namespace {self.namespace} is being deleted") from error
            raise
        except (errors.Forbidden, errors.Unauthorized) as error:
            self.silent.set()
            raise LogUnavailable(f"the API server refuses this pod's ServiceAccount: {error}") from error
        except errors.Invalid as error:
            # A bound that we do not keep, or a CRD of another version: trying again gives the same.
            raise LogError(f"the API server finds it invalid: {error}") from error
        except errors.KubeError as error:
            if error.status in {0, 401, 500, 502, 503, 504}:
                self.silent.set()
            else:
                self.silent.clear()
            raise LogUnavailable(f"the API server did not take it: {error}") from error
        else:
            self.silent.clear()

    async def create(self, resource: ResourceType, obj: Object) -> bool:
        """Whether it was made; False if the name is taken."""
        try:
            async with self.asking():
                made = await self.api.create(resource, obj)
        except errors.AlreadyExists:
            return False
        self.index.put(resource, made)
        return True

    async def refresh(self, resource: ResourceType, name: str) -> bool:
        """Reads it anew; whether it is there."""
        known = self.index.known(resource, name)
        try:
            async with self.asking():
                found = await self.api.get(resource, name, self.namespace)
        except errors.NotFound:
            self._not_found(resource, name, known)
            return False
        self.index.put(resource, found)
        return True

    async def read_untaken(self, conversation: str) -> None:
        """Reads anew the conversation's inbound messages that no execution has taken. A list without a resource version
        is of all that was written before (https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics)."""
        wanted = f"spec.conversation={conversation},spec.direction=Inbound,status.execution="
        async with self.asking():
            found = await self.api.list(MESSAGES, self.namespace, field_selector=wanted)
        for message in found.items:
            self.index.put(MESSAGES, message)

    async def read_outbound(self, state: str) -> None:
        """Reads anew the outbound messages of this state."""
        async with self.asking():
            found = await self.api.list(
                MESSAGES, self.namespace, field_selector=f"spec.direction=Outbound,status.state={state}"
            )
        for message in found.items:
            self.index.put(MESSAGES, message)

    async def patch(
        self, resource: ResourceType, name: str, version: int, patch: Object, *, subresource: str | None = "status"
    ) -> bool:
        """Merges `patch` into that very version. False, and the index is up to date, if it has changed or is gone."""
        body = {**patch, "metadata": {"resourceVersion": str(version)}}
        known = self.index.known(resource, name)
        try:
            async with self.asking():
                changed = await self.api.merge_patch(resource, name, self.namespace, body, subresource=subresource)
        except errors.Conflict:
            await self.refresh(resource, name)
            return False
        except errors.NotFound:
            self._not_found(resource, name, known)
            return False
        self.index.put(resource, changed)
        return True

    async def delete(self, resource: ResourceType, name: str, version: int | None = None) -> bool | None:
        """Whether it was deleted; None: it was gone already. With `version`, only if it has not changed."""
        known = self.index.known(resource, name)
        try:
            async with self.asking():
                wanted = None if version is None else str(version)
                await self.api.delete(resource, name, self.namespace, resource_version=wanted)
        except errors.NotFound:
            self._not_found(resource, name, known)
            return None
        except errors.Conflict:
            await self.refresh(resource, name)
            return False
        if known is not None:
            self.index.gone(resource, name, known[0])
        return True

    def _not_found(self, resource: ResourceType, name: str, known: tuple[str, int] | None) -> None:
        """It is gone, if it was known before it was asked for. What came meanwhile stays, and so will what is newer."""
        if known is not None:
            self.index.gone(resource, name, *known)

    async def message(self, name: str) -> KeptMessage | None:
        """A message, asked for if it is not known."""
        if name not in self.index.messages:
            await self.refresh(MESSAGES, name)
        return self.index.messages.get(name)

    async def change_message(self, name: str, change: Callable[[KeptMessage], Object | None]) -> KeptMessage | None:
        """Compare-and-set of a message's status: `change` gives the patch, or None to leave it, or raises.

        Gives the message as it is then; None if there is no such message.
        """
        for _ in range(CONFLICTS_MAX):
            kept = await self.message(name)
            if kept is None:
                return None
            patch = change(kept)
            if patch is None or await self.patch(MESSAGES, name, kept.version, {"status": patch}):
                return self.index.messages.get(name)
        raise LogUnavailable(f"message {name} is changed by others all the time")

    async def change_execution(
        self, name: str, change: Callable[[KeptExecution], Object | None]
    ) -> KeptExecution | None:
        """Compare-and-set of an execution's status, as `change_message`."""
        for _ in range(CONFLICTS_MAX):
            if name not in self.index.executions and not await self.refresh(EXECUTIONS, name):
                return None
            kept = self.index.executions[name]
            patch = change(kept)
            if patch is None or await self.patch(EXECUTIONS, name, kept.version, {"status": patch}):
                return self.index.executions.get(name)
        raise LogUnavailable(f"execution {name} is changed by others all the time")
