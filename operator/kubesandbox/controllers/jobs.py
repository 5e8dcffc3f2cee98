"""Jobs: pods run to completion, as Helm's hooks need it."""

from kubesandbox.client import ApiError, Change, Key, Object, owner_of
from kubesandbox.client.resources import JOBS, PODS, controller_reference, key_of
from kubesandbox.controllers import completion
from kubesandbox.controllers import pods as about
from kubesandbox.controllers.loop import Queue, Shared, work


class Jobs:
    def __init__(self, shared: Shared) -> None:
        self._client = shared.client
        self._jobs, self._pods = shared.cache(JOBS), shared.cache(PODS)
        self._events = shared.recorder("job-controller")
        self._queue = Queue()
        self._jobs.listen(lambda change: self._queue.add(key_of(change.current)))
        self._pods.listen(self._pod_changed)

    async def run(self) -> None:
        await work("job", self._queue, self._reconcile)

    def _pod_changed(self, change: Change) -> None:
        owner = owner_of(change.current)
        if owner is not None and owner["kind"] == "Job":
            self._queue.add((change.current["metadata"]["namespace"], owner["name"]))

    async def _reconcile(self, key: Key) -> None:
        job = self._jobs.get(*key)
        if job is None or about.is_deleted(job):
            return
        problem = completion.refused(job)
        if problem is not None:
            self._events.warning(job, "Unsupported", problem)
            return
        uid = job["metadata"]["uid"]
        pods = list(self._pods.owned_by(uid))
        decision = completion.decide(job, pods, about.now())
        if decision.remove:
            await self._client.delete(JOBS, *key, uid=uid, propagation="Background")
            return
        if decision.after is not None:
            self._queue.add_after(key, decision.after)
        await self._report(job, decision.status)
        if decision.event is not None:
            kind, reason, message = decision.event
            (self._events.normal if kind == "Normal" else self._events.warning)(job, reason, message)
        for pod in decision.delete:
            await self._delete(job, pod)
        for _ in range(decision.create):
            await self._create(job)

    async def _create(self, job: Object) -> None:
        wanted = about.from_template(job["spec"]["template"], job, controller_reference(job, JOBS))
        labels = (job["spec"].get("selector") or {}).get("matchLabels") or {}
        wanted["metadata"]["labels"] |= labels
        try:
            made = await self._client.create(PODS, wanted)
        except ApiError as error:
            self._events.warning(job, "FailedCreate", f"Error creating: {error}")
            raise
        self._pods.remember(made)
        self._events.normal(job, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")

    async def _delete(self, job: Object, pod: Object) -> None:
        try:
            self._pods.remember(await self._client.delete(PODS, *key_of(pod), uid=pod["metadata"]["uid"]))
        except ApiError as error:
            if not error.not_found:
                raise
        self._pods.forget(pod)
        self._events.normal(job, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")

    async def _report(self, job: Object, status: Object) -> None:
        held = job.get("status") or {}
        if all(held.get(name, 0) == value for name, value in status.items()):
            return
        patch = {"metadata": {"uid": job["metadata"]["uid"]}, "status": status}
        self._jobs.remember(await self._client.patch(JOBS, *key_of(job), patch, subresource="status"))
