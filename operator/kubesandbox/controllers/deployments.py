"""Deployments: rolled out through ReplicaSets."""

import itertools

from kubesandbox.client import ApiError, Change, Key, Object, owner_of
from kubesandbox.client.resources import DEPLOYMENTS, PODS, REPLICA_SETS, controller_reference, key_of
from kubesandbox.client.selectors import matches
from kubesandbox.controllers import pods as about
from kubesandbox.controllers import progress, rollout
from kubesandbox.controllers.loop import Queue, Shared, work


class Deployments:
    def __init__(self, shared: Shared) -> None:
        self._client = shared.client
        self._deployments = shared.cache(DEPLOYMENTS)
        self._sets, self._pods = shared.cache(REPLICA_SETS), shared.cache(PODS)
        self._events = shared.recorder("deployment-controller")
        self._queue = Queue()
        self._untold: dict[str, Object] = {}
        """By a Deployment's uid: the ReplicaSet that was made for it, until its status says so."""
        self._deployments.listen(lambda change: self._queue.add(key_of(change.current)))
        self._sets.listen(self._set_changed)
        self._pods.listen(self._pod_changed)

    async def run(self) -> None:
        await work("deployment", self._queue, self._reconcile)

    def _set_changed(self, change: Change) -> None:
        rs = change.current
        owner = owner_of(rs)
        namespace = rs["metadata"]["namespace"]
        if owner is None:
            for deployment in self._deployments.all(namespace):
                if matches(deployment["spec"]["selector"], rs["metadata"].get("labels")):
                    self._queue.add(key_of(deployment))
        elif owner["kind"] == "Deployment":
            self._queue.add((namespace, owner["name"]))

    def _pod_changed(self, change: Change) -> None:
        """A Recreate roll-out waits for the last old pod to go."""
        pod = change.current
        owner = owner_of(pod)
        if change.new is not None and about.is_active(pod):
            return
        if owner is not None and owner["kind"] == "ReplicaSet":
            rs = self._sets.get(pod["metadata"]["namespace"], owner["name"])
            if rs is not None:
                self._set_changed(Change(rs, rs))

    async def _reconcile(self, key: Key) -> None:
        deployment = self._deployments.get(*key)
        if deployment is None:
            return
        owned = await self._claim(deployment)
        seen = rollout.observe(deployment, owned)
        pods = [pod for rs in owned for pod in self._pods.owned_by(rs["metadata"]["uid"])]
        plan = rollout.decide(seen, pods)
        uid = deployment["metadata"]["uid"]
        if plan.create is not None:
            self._untold[uid] = await self._create(deployment, plan.create)
        if seen.new is not None and (plan.annotate is not None or plan.min_ready_seconds is not None):
            await self._adjust(seen.new, plan)
        for step in plan.scale:
            await self._scale(deployment, step)
        for rs in plan.remove:
            await self._remove(rs)
        await self._report(deployment, seen, self._untold.get(uid))
        self._untold.pop(uid, None)
        if plan.revision is not None:
            patch = {"metadata": {"annotations": {rollout.REVISION: plan.revision}}}
            self._deployments.remember(await self._client.patch(DEPLOYMENTS, *key, patch))

    async def _claim(self, deployment: Object) -> list[Object]:
        """The ReplicaSets that are its own; orphans that match are adopted, those that no longer match let go."""
        metadata = deployment["metadata"]
        owned = []
        mine, orphans = self._sets.owned_by(metadata["uid"]), self._sets.orphans(metadata["namespace"])
        for rs in itertools.chain(mine, orphans):
            owner = owner_of(rs)
            fits = matches(deployment["spec"]["selector"], rs["metadata"].get("labels"))
            references = rs["metadata"].get("ownerReferences") or []
            if owner is not None and owner["uid"] == metadata["uid"]:
                if fits:
                    owned.append(rs)
                else:
                    rest = [ref for ref in references if ref["uid"] != metadata["uid"]]
                    await self._own(rs, rest or None)
            elif owner is None and fits and not about.is_deleted(deployment) and not about.is_deleted(rs):
                owned.append(await self._own(rs, [*references, controller_reference(deployment, DEPLOYMENTS)]))
        return owned

    async def _own(self, rs: Object, references: list[Object] | None) -> Object:
        patch = {"metadata": {"uid": rs["metadata"]["uid"], "ownerReferences": references}}
        answer = await self._client.patch(REPLICA_SETS, *key_of(rs), patch)
        self._sets.remember(answer)
        return answer

    async def _create(self, deployment: Object, wanted: Object) -> Object:
        name = wanted["metadata"]["name"]
        try:
            made = await self._client.create(REPLICA_SETS, wanted)
        except ApiError as error:
            if error.already_exists:
                await self._collide(deployment, name)
            raise
        self._sets.remember(made)
        if rollout.replicas_of(made):
            message = f"Scaled up replica set {name} from 0 to {rollout.replicas_of(made)}"
            self._events.normal(deployment, "ScalingReplicaSet", message)
        return made

    async def _collide(self, deployment: Object, name: str) -> None:
        """Another's ReplicaSet has the name: count the collision, so that the next name is another one."""
        namespace = deployment["metadata"]["namespace"]
        there = await self._client.get(REPLICA_SETS, namespace, name)
        owner = owner_of(there)
        self._sets.remember(there)
        if owner is None or owner["uid"] != deployment["metadata"]["uid"]:
            count = ((deployment.get("status") or {}).get("collisionCount") or 0) + 1
            patch = {"status": {"collisionCount": count}}
            answer = await self._client.patch(DEPLOYMENTS, *key_of(deployment), patch, subresource="status")
            self._deployments.remember(answer)

    async def _adjust(self, new: Object, plan: rollout.Plan) -> None:
        patch: Object = {"metadata": {"uid": new["metadata"]["uid"]}}
        if plan.annotate is not None:
            patch["metadata"]["annotations"] = plan.annotate
        if plan.min_ready_seconds is not None:
            patch["spec"] = {"minReadySeconds": plan.min_ready_seconds}
        self._sets.remember(await self._client.patch(REPLICA_SETS, *key_of(new), patch))

    async def _scale(self, deployment: Object, step: rollout.Scale) -> None:
        rs, before = step.replica_set, rollout.replicas_of(step.replica_set)
        annotations = rollout.replica_annotations(deployment)
        patch: Object = {"metadata": {"uid": rs["metadata"]["uid"], "annotations": annotations}}
        if before != step.replicas:
            patch["spec"] = {"replicas": step.replicas}
        self._sets.remember(await self._client.patch(REPLICA_SETS, *key_of(rs), patch))
        if before != step.replicas:
            way = "up" if step.replicas > before else "down"
            message = f"Scaled {way} replica set {rs['metadata']['name']} from {before} to {step.replicas}"
            self._events.normal(deployment, "ScalingReplicaSet", message)

    async def _remove(self, rs: Object) -> None:
        try:
            await self._client.delete(REPLICA_SETS, *key_of(rs), uid=rs["metadata"]["uid"], propagation="Background")
        except ApiError as error:
            if not error.not_found:
                raise
        self._sets.forget(rs)

    async def _report(self, deployment: Object, seen: rollout.Observed, created: Object | None) -> None:
        now = about.now()
        key = key_of(deployment)
        fresh = [self._sets.get(*key_of(rs)) or rs for rs in seen.all]
        status = progress.status(rollout.observe(deployment, fresh), created, now)
        again = progress.check_again_in(deployment, status, now)
        if again is not None:
            self._queue.add_after(key, again)
        held = deployment.get("status") or {}
        if all(held.get(name, 0) == value for name, value in status.items()):
            return
        patch = {"metadata": {"uid": deployment["metadata"]["uid"]}, "status": status}
        self._deployments.remember(await self._client.patch(DEPLOYMENTS, *key, patch, subresource="status"))
