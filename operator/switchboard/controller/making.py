"""Makes what runs an Agent and leads to it, and knows what stands as it was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from switchboard.api.agent import Agent, AgentRevision
from switchboard.api.reasons import AgentReason
from switchboard.controller.applying import NotOurs
from switchboard.controller.context import AGENT, Context
from switchboard.controller.queue import Key
from switchboard.controller.store import Store
from switchboard.kube import resources
from switchboard.kube.errors import Invalid
from switchboard.kube.resources import Object, ResourceType
from switchboard.reconcile.outcome import Mend, Problem

OF_REVISION: tuple[ResourceType, ...] = (
    resources.HPAS,
    resources.PDBS,
    resources.DEPLOYMENTS,
    resources.ROLE_BINDINGS,
    resources.SERVICE_ACCOUNTS,
    resources.CONFIG_MAPS,
)
"""What runs a revision, in the order in which it goes."""
BY_KIND = {resource.kind: resource for resource in (*OF_REVISION, resources.SERVICES, resources.INGRESSES)}
BY_KIND["HTTPRoute"] = resources.HTTP_ROUTES


@dataclass(frozen=True, slots=True)
class Made:
    """What was last applied for an Agent."""

    inputs: object
    """All that it was made of, besides what never changes while the operator runs."""
    digests: Sequence[tuple[ResourceType, str, str | None]]

    def stands(self, store: Store, namespace: str) -> bool:
        """Whether all of it is still as it was applied."""
        return all(
            digest is not None and store.settled(kind, namespace, name) == digest for kind, name, digest in self.digests
        )


class Making:
    """Applies an Agent's objects. While they would be made of the same, and all stand as they were made, they are not
    even built: an Agent is looked at for many a reason, and few of them touch what runs it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._made: dict[Key, dict[str, Made]] = {}

    async def ensure(
        self, agent: Agent, what: str, inputs: object, build: Callable[[], Sequence[Object]]
    ) -> Problem | None:
        """Applies what `build` gives where it does not stand yet; why something cannot be applied.

        Args:
            agent: Whose it is.
            what: Which of its parts: a revision, or its way in.
            inputs: What `build` makes it of; compared with the last time's.
            build: Gives the objects, in the order in which they are applied.
        """
        context, namespace = self._context, agent.metadata.namespace
        made = self._made.setdefault(_key(agent), {})
        known = made.pop(what, None)
        inputs = (agent.metadata.uid, inputs)
        if known is None or known.inputs != inputs or not known.stands(context.store, namespace):
            digests: list[tuple[ResourceType, str, str | None]] = []
            for obj in build():
                kind, name = BY_KIND[obj["kind"]], str(obj["metadata"]["name"])
                try:
                    await context.applier.ensure(kind, obj)
                except NotOurs as error:
                    if error.passing:
                        return Problem(AgentReason.DEPLOYING, str(error), Mend.WAIT)
                    return Problem(AgentReason.NAME_TAKEN, str(error), Mend.ARRIVE)
                except Invalid as error:
                    return Problem(AgentReason.INVALID, f"The {obj['kind']} that it needs is not valid: {error}")
                digests.append((kind, name, context.store.settled(kind, namespace, name)))
            known = Made(inputs, digests)
        made[what] = known
        return None

    async def unmake(self, agent: Agent, revision: AgentRevision) -> bool:
        """Removes what runs a revision, or what an attempt left; whether there was anything. What runs one that is gone
        is the garbage collector's."""
        namespace, name = agent.metadata.namespace, revision.metadata.name
        self._made.get(_key(agent), {}).pop(name, None)
        found = False
        for resource in OF_REVISION:
            found |= await self._context.applier.remove(resource, namespace, name, owner=revision.metadata.uid)
        return found

    def forget(self, key: Key) -> None:
        """An Agent is gone."""
        self._made.pop(key, None)


def _key(agent: Agent) -> Key:
    return Key(AGENT, agent.metadata.namespace, agent.metadata.name)
