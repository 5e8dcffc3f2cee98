"""A Job's decision: pods to make or remove, and what to report. Pure."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from kubesandbox.client import Object
from kubesandbox.controllers import pods as about

BACK_OFF_SECONDS = 10.0
LONGEST_BACK_OFF_SECONDS = 600.0
UNSUPPORTED = ("podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "maxFailedIndexes")


@dataclass(slots=True)
class Decision:
    """Make `create` pods, delete those in `delete`, write `status`; look again in `after` seconds."""

    status: Object
    create: int = 0
    delete: list[Object] = field(default_factory=list)
    after: float | None = None
    remove: bool = False
    event: tuple[str, str, str] | None = None  # (type, reason, message)


def refused(job: Object) -> str | None:
    """What of the Job's spec is not done here, or None."""
    spec = job["spec"]
    if spec.get("completionMode", "NonIndexed") != "NonIndexed":
        return "spec.completionMode: only NonIndexed Jobs are run by kubesandbox"
    for name in UNSUPPORTED:
        if spec.get(name) is not None:
            return f"spec.{name}: is not supported by kubesandbox"
    return None


def finished(job: Object) -> Object | None:
    """The condition that ended the Job."""
    for kind in ("Complete", "Failed"):
        held = about.condition(job, kind)
        if held is not None and held["status"] == "True":
            return held
    return None


def decide(job: Object, pods: Sequence[Object], now: dt.datetime) -> Decision:
    """The next steps for a Job with these pods of its own."""
    ended = finished(job)
    if ended is not None:
        return _after_end(job, ended, now)
    spec, held = job["spec"], dict(job.get("status") or {})
    active = [pod for pod in pods if about.is_active(pod)]
    succeeded = max(held.get("succeeded", 0), sum(1 for pod in pods if about.phase(pod) == "Succeeded"))
    failed_pods = [pod for pod in pods if about.phase(pod) == "Failed"]
    failed = max(held.get("failed", 0), len(failed_pods))
    status = {**held, "succeeded": succeeded, "failed": failed}
    if not spec.get("suspend") and not held.get("startTime"):
        status["startTime"] = about.format_time(now)
    decision = Decision(status)
    failure = _failure(spec, status, active, failed, now)
    target = about.condition(job, "FailureTarget")
    if failure is None and target is not None and target["status"] == "True":
        failure = (target["reason"], target["message"])
    if failure is not None:
        _fail(decision, failure, pods, now)
    elif spec.get("suspend"):
        decision.delete = active
    elif _is_complete(spec, succeeded, active):
        _complete(decision, pods, now)
    else:
        _size(decision, spec, active, failed_pods, now)
    _count(decision, pods, active)
    _limit(decision, spec, now)
    return decision


def _failure(
    spec: Object, status: Object, active: Sequence[Object], failed: int, now: dt.datetime
) -> tuple[str, str] | None:
    limit = spec.get("backoffLimit", 6)
    restarts = sum(about.restarts(pod) for pod in active)
    on_failure = spec["template"]["spec"].get("restartPolicy") == "OnFailure"
    if failed > limit or (on_failure and restarts and restarts >= max(limit, 1)):
        return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    seconds = spec.get("activeDeadlineSeconds")
    if seconds is not None and status.get("startTime") and not spec.get("suspend"):
        started = about.parse_time(status["startTime"])
        if now >= started + dt.timedelta(seconds=seconds):
            return "DeadlineExceeded", "Job was active longer than specified deadline"
    return None


def _is_complete(spec: Object, succeeded: int, active: Sequence[Object]) -> bool:
    wanted = spec.get("completions")
    if wanted is None:
        return succeeded > 0 and not active
    return bool(succeeded >= wanted)


def _size(
    decision: Decision, spec: Object, active: list[Object], failed_pods: Sequence[Object], now: dt.datetime
) -> None:
    succeeded = decision.status["succeeded"]
    parallelism = spec.get("parallelism", 1)
    completions = spec.get("completions")
    if completions is None:
        wanted = len(active) if succeeded else parallelism
    else:
        wanted = min(parallelism, completions - succeeded)
    if len(active) > wanted:
        decision.delete = active[wanted:]
        return
    missing = wanted - len(active)
    wait = _back_off(failed_pods, now)
    if missing and wait > 0:
        decision.after = wait
    else:
        decision.create = missing


def _back_off(failed_pods: Sequence[Object], now: dt.datetime) -> float:
    """Seconds until the next try: 10 s after the first failure, doubling."""
    if not failed_pods:
        return 0.0
    ends = [_ended(pod) for pod in failed_pods]
    delay = min(BACK_OFF_SECONDS * 2.0 ** (len(ends) - 1), LONGEST_BACK_OFF_SECONDS)
    return max(0.0, (max(ends) + dt.timedelta(seconds=delay) - now).total_seconds())


def _ended(pod: Object) -> dt.datetime:
    times = [
        container["state"]["terminated"]["finishedAt"]
        for container in (pod.get("status") or {}).get("containerStatuses") or ()
        if (container.get("state") or {}).get("terminated", {}).get("finishedAt")
    ]
    return about.parse_time(max(times) if times else pod["metadata"]["creationTimestamp"])


def _complete(decision: Decision, pods: Sequence[Object], now: dt.datetime) -> None:
    message = "Reached expected number of succeeded pods"
    decision.delete = [pod for pod in pods if about.is_active(pod)]
    _set(decision, "SuccessCriteriaMet", "CompletionsReached", message, now)
    if not any(_lingers(pod) for pod in pods):
        _set(decision, "Complete", "CompletionsReached", message, now)
        decision.status["completionTime"] = about.format_time(now)
        decision.event = ("Normal", "Completed", "Job completed")


def _fail(decision: Decision, failure: tuple[str, str], pods: Sequence[Object], now: dt.datetime) -> None:
    """The target first; Failed once no pod of it runs any more."""
    decision.delete = [pod for pod in pods if about.is_active(pod)]
    _set(decision, "FailureTarget", *failure, now)
    if not any(_lingers(pod) for pod in pods):
        _set(decision, "Failed", *failure, now)
        decision.event = ("Warning", *failure)


def _lingers(pod: Object) -> bool:
    return about.phase(pod) not in {"Succeeded", "Failed"}


def _count(decision: Decision, pods: Sequence[Object], active: Sequence[Object]) -> None:
    going = {pod["metadata"]["uid"] for pod in decision.delete}
    remaining = [pod for pod in active if pod["metadata"]["uid"] not in going]
    status = decision.status
    status["active"] = len(remaining) + decision.create
    status["ready"] = sum(1 for pod in remaining if about.is_ready(pod))
    status["terminating"] = sum(1 for pod in pods if about.is_deleted(pod) and _lingers(pod))


def _limit(decision: Decision, spec: Object, now: dt.datetime) -> None:
    seconds = spec.get("activeDeadlineSeconds")
    if seconds is None or not decision.status.get("startTime"):
        return
    left = (about.parse_time(decision.status["startTime"]) + dt.timedelta(seconds=seconds) - now).total_seconds()
    if left > 0:
        decision.after = left if decision.after is None else min(decision.after, left)


def _after_end(job: Object, ended: Object, now: dt.datetime) -> Decision:
    decision = Decision(dict(job.get("status") or {}))
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    if ttl is not None:
        left = (about.parse_time(ended["lastTransitionTime"]) + dt.timedelta(seconds=ttl) - now).total_seconds()
        decision.remove, decision.after = left <= 0, max(left, 0.0)
    return decision


def _set(decision: Decision, kind: str, reason: str, message: str, now: dt.datetime) -> None:
    time = about.format_time(now)
    wanted = {
        "type": kind,
        "status": "True",
        "lastProbeTime": time,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    }
    decision.status["conditions"] = about.set_condition(decision.status.get("conditions") or [], wanted)
