"""ReplicaSets: pods made, adopted, released and removed."""

import asyncio
import itertools
import logging
from collections.abc import Iterator

from kubesandbox.client import ApiError, Change, Key, Object, owner_of
from kubesandbox.client.resources import PODS, REPLICA_SETS, controller_reference, key_of
from kubesandbox.client.selectors import matches
from kubesandbox.controllers import pods as about
from kubesandbox.controllers import replicas
from kubesandbox.controllers.loop import Queue, Shared, work

log = logging.getLogger(__name__)


class ReplicaSets:
    def __init__(self, shared: Shared) -> None:
        self._client = shared.client
        self._sets, self._pods = shared.cache(REPLICA_SETS), shared.cache(PODS)
        self._events = shared.recorder("replicaset-controller")
        self._queue = Queue()
        self._sets.listen(lambda change: self._queue.add(key_of(change.current)))
        self._pods.listen(self._pod_changed)

    async def run(self) -> None:
        await work("replicaset", self._queue, self._reconcile)

    def _pod_changed(self, change: Change) -> None:
        for pod in (change.old, change.new):
            if pod is None:
                continue
            namespace = pod["metadata"]["namespace"]
            owner = owner_of(pod)
            if owner is None:
                for replica_set in self._sets.all(namespace):
                    if matches(replica_set["spec"]["selector"], pod["metadata"].get("labels")):
                        self._queue.add(key_of(replica_set))
            elif owner["kind"] == "ReplicaSet":
                self._queue.add((namespace, owner["name"]))

    async def _reconcile(self, key: Key) -> None:
        replica_set = self._sets.get(*key)
        if replica_set is None:
            return
        claims = replicas.claim(replica_set, self._candidates(replica_set))
        owned = claims.owned + await self._adopt(replica_set, claims)
        decision = replicas.decide(replica_set, owned, self._related(replica_set, owned))
        failure: ApiError | None = None
        if decision.create:
            failure = await self._create(replica_set, decision.create)
        elif decision.delete:
            failure = await self._delete(replica_set, decision.delete)
        fresh = replicas.claim(replica_set, self._candidates(replica_set)).owned
        await self._report(replica_set, fresh, failure, bool(decision.delete))
        if failure is not None:
            raise failure

    def _candidates(self, replica_set: Object) -> Iterator[Object]:
        metadata = replica_set["metadata"]
        return itertools.chain(self._pods.owned_by(metadata["uid"]), self._pods.orphans(metadata["namespace"]))

    def _related(self, replica_set: Object, owned: list[Object]) -> list[Object]:
        """Pods of all ReplicaSets of the same Deployment, to see how crowded a node is."""
        owner = owner_of(replica_set)
        if owner is None:
            return owned
        siblings = self._sets.owned_by(owner["uid"])
        return [pod for sibling in siblings for pod in self._pods.owned_by(sibling["metadata"]["uid"])]

    async def _adopt(self, replica_set: Object, claims: replicas.Claims) -> list[Object]:
        adopted = []
        reference = controller_reference(replica_set, REPLICA_SETS)
        for pod in claims.adopt:
            metadata = pod["metadata"]
            others = metadata.get("ownerReferences") or []
            patch = {"metadata": {"uid": metadata["uid"], "ownerReferences": [*others, reference]}}
            adopted.append(await self._patch(pod, patch))
        for pod in claims.release:
            metadata = pod["metadata"]
            uid = replica_set["metadata"]["uid"]
            others = [ref for ref in metadata.get("ownerReferences") or () if ref["uid"] != uid]
            await self._patch(pod, {"metadata": {"uid": metadata["uid"], "ownerReferences": others or None}})
        return adopted

    async def _patch(self, pod: Object, patch: Object) -> Object:
        answer = await self._client.patch(PODS, *key_of(pod), patch)
        self._pods.remember(answer)
        return answer

    async def _create(self, replica_set: Object, count: int) -> ApiError | None:
        """Make pods in batches of 1, 2, 4, …, so that a refusal is met once and not a hundred times."""
        reference = controller_reference(replica_set, REPLICA_SETS)
        batch = 1
        while count:
            size = min(batch, count)
            results = await asyncio.gather(
                *(self._create_one(replica_set, reference) for _ in range(size)), return_exceptions=True
            )
            for result in results:
                if isinstance(result, ApiError):
                    return result
                if isinstance(result, BaseException):
                    raise result
            count -= size
            batch *= 2
        return None

    async def _create_one(self, replica_set: Object, reference: Object) -> None:
        pod = about.from_template(replica_set["spec"]["template"], replica_set, reference)
        try:
            made = await self._client.create(PODS, pod)
        except ApiError as error:
            self._events.warning(replica_set, "FailedCreate", f"Error creating: {error}")
            raise
        self._pods.remember(made)
        self._events.normal(replica_set, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    async def _delete(self, replica_set: Object, pods: tuple[Object, ...]) -> ApiError | None:
        for pod in pods:
            metadata = pod["metadata"]
            try:
                answer = await self._client.delete(PODS, *key_of(pod), uid=metadata["uid"])
            except ApiError as error:
                if error.not_found:
                    self._pods.forget(pod)
                    continue
                self._events.warning(replica_set, "FailedDelete", f"Error deleting: {error}")
                return error
            self._pods.remember(answer)
            self._pods.forget(pod)
            self._events.normal(replica_set, "SuccessfulDelete", f"Deleted pod: {metadata['name']}")
        return None

    async def _report(self, replica_set: Object, owned: list[Object], failure: ApiError | None, removing: bool) -> None:
        now = about.now()
        status = replicas.status(replica_set, owned, failure.message if failure else None, removing, now)
        key = key_of(replica_set)
        minimum = replica_set["spec"].get("minReadySeconds", 0)
        waits = [seconds for pod in owned if (seconds := about.available_in(pod, minimum, now))]
        if waits:
            self._queue.add_after(key, min(waits) + 0.1)
        held = dict(replica_set.get("status") or {})
        if {name: held.get(name, 0 if name != "conditions" else None) for name in status} == status and (
            "conditions" in status or not held.get("conditions")
        ):
            return
        if "conditions" not in status and held.get("conditions"):
            status["conditions"] = None
        patch = {"metadata": {"uid": replica_set["metadata"]["uid"]}, "status": status}
        self._sets.remember(await self._client.patch(REPLICA_SETS, *key, patch, subresource="status"))
