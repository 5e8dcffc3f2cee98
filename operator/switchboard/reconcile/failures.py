"""Why a revision's pods are not ready, in the pods' own words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from switchboard.api.reasons import AgentReason
from switchboard.reconcile.outcome import Mend, Problem
from switchboard.reconcile.revisions import Workload

Json = dict[str, Any]

_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_CONFIGURATION = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_MESSAGE_MAX = 1000


def workload(deployment: Json, pods: Sequence[Json], now: datetime) -> Workload:
    """What a Deployment and its pods say of the revision that they run.

    Args:
        deployment: The Deployment.
        pods: The revision's pods.
        now: The time.
    """
    spec, status = deployment.get("spec", {}), deployment.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    wanted = int(spec.get("replicas", 1))
    ready = int(status.get("readyReplicas", 0))
    seen = int(status.get("observedGeneration", 0)) >= int(deployment["metadata"].get("generation", 0))
    # With maxUnavailable 0 the Deployment is Available only when all its pods are.
    available = seen and conditions.get("Available", {}).get("status") == "True" and ready >= min(wanted, 1)
    silent = _time(conditions.get("Available", {}).get("lastTransitionTime")) if ready == 0 else None
    return Workload(available, ready, wanted, None if available else _problem(conditions, pods), silent)


def _problem(conditions: dict[str, Json], pods: Sequence[Json]) -> Problem | None:
    """The first cause that will not go away by waiting; else what is being waited for; else None."""
    living = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    for pod in living:
        for cause in _causes(pod):
            return _failed(cause)
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return _failed(f"No pod can be made: {_short(failure.get('message', ''))}")
    progressing = conditions.get("Progressing", {})
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return _failed(_unready(living) or f"Its pods did not become ready: {_short(progressing.get('message', ''))}")
    waiting = _unready(living)
    return Problem(AgentReason.DEPLOYING, waiting, Mend.WAIT) if waiting else None


def _failed(cause: str) -> Problem:
    return Problem(AgentReason.REVISION_FAILED, cause)


def _causes(pod: Json) -> Iterator[str]:
    status = pod.get("status", {})
    for container in status.get("initContainerStatuses") or ():
        ended = _ended(container)
        if ended is not None:
            yield f"The check before its start failed: {ended}"
        yield from _cannot_start(container)
    for container in status.get("containerStatuses") or ():
        yield from _cannot_start(container)
        ended = _ended(container)
        # A container that runs again after one crash may well stay up; one that waits to be restarted has not.
        if ended is not None and container.get("state", {}).get("running") is None:
            yield f"It crashed: {ended}"
    if status.get("phase") == "Failed" and (status.get("reason") or status.get("message")):
        yield f"{status.get('reason', 'Failed')}: {_short(status.get('message', ''))}"


def _cannot_start(container: Json) -> Iterator[str]:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), _short(waiting.get("message", ""))
    if reason in _IMAGE:
        yield f"The image {container.get('image', '')} cannot be pulled ({reason}): {message}".rstrip(": ")
    elif reason in _CONFIGURATION:
        yield f"The container cannot be made ({reason}): {message}".rstrip(": ")


def _ended(container: Json) -> str | None:
    """What the container's last end said, if it was a failure."""
    for state in (container.get("state", {}), container.get("lastState", {})):
        ended = state.get("terminated") or {}
        if ended and (ended.get("exitCode") or ended.get("signal")):
            said = _short(_words(ended.get("message", "")))
            how = ended.get("reason") or "Error"
            code = f"exit code {ended['exitCode']}" if ended.get("exitCode") else f"signal {ended.get('signal')}"
            return said or f"{how} ({code})"
    return None


def _words(message: str) -> str:
    """A termination message's sentence: of a log's end, which the kubelet takes where a container left none, the last
    line's. Its times would make another condition of every restart."""
    for line in reversed(message.splitlines()):
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and isinstance(told.get("message"), str):
            trace = str(told.get("exception", "")).strip()
            return f"{told['message']}: {trace.rpartition(chr(10))[2]}" if trace else str(told["message"])
    return message


def _unready(pods: Sequence[Json]) -> str:
    for pod in pods:
        for condition in pod.get("status", {}).get("conditions") or ():
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"A pod has no node: {_short(condition.get('message', ''))}"
        for container in pod.get("status", {}).get("containerStatuses") or ():
            if container.get("state", {}).get("running") is not None and not container.get("ready"):
                return f"The pod {pod['metadata']['name']} runs and its readiness probe does not succeed."
    return ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MESSAGE_MAX else text[: _MESSAGE_MAX - 1] + "…"


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(str(value)) if value else None
