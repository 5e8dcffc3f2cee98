"""A pod's status from its containers' states. Pure: what the kubelet would report."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from kubesandbox.client import Object


@dataclass(frozen=True, slots=True)
class Waiting:
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    started_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Terminated:
    exit_code: int
    reason: str
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    message: str = ""
    container_id: str = ""


State = Waiting | Running | Terminated


@dataclass(slots=True)
class Container:
    """What is known of one container of a pod."""

    name: str
    image: str
    restart_policy: str
    sidecar: bool = False
    state: State = field(default_factory=lambda: Waiting("ContainerCreating"))
    last: Terminated | None = None
    restarts: int = 0
    ready: bool = False
    started: bool = False
    container_id: str = ""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What else the status says. Addresses are those that are announced."""

    start_time: dt.datetime
    pod_ip: str
    host_ip: str
    has_network: bool
    failure: tuple[str, str] | None = None  # (reason, message) of a pod that failed as a whole
    ended: bool = False  # deleted, and nothing of it runs any more


def pod_status(
    pod: Object, initial: Sequence[Container], main: Sequence[Container], facts: PodFacts, now: dt.datetime
) -> Object:
    """The status to report, with the conditions that others have set left as they are."""
    phase = "Failed" if facts.failure else phase_of(pod["spec"], initial, main, ended=facts.ended)
    generation = pod["metadata"].get("generation")
    conditions = _conditions(pod, initial, main, facts, phase)
    status: Object = {
        "phase": phase,
        "conditions": _merged(pod, conditions, generation, now),
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "startTime": moment(facts.start_time),
        "containerStatuses": [container_status(container) for container in main],
    }
    if generation is not None:
        status["observedGeneration"] = generation
    if initial:
        status["initContainerStatuses"] = [container_status(container) for container in initial]
    if facts.pod_ip:
        status |= {"podIP": facts.pod_ip, "podIPs": [{"ip": facts.pod_ip}]}
    if facts.failure:
        status |= {"reason": facts.failure[0], "message": facts.failure[1]}
    return status


def phase_of(spec: Object, initial: Sequence[Container], main: Sequence[Container], *, ended: bool = False) -> str:
    """Pending, Running, Succeeded or Failed, as the kubelet's getPhase decides."""
    policy = spec.get("restartPolicy", "Always")
    never = ended or policy == "Never"
    for container in initial:
        state = container.state
        if container.sidecar:
            if not container.started and not isinstance(state, Terminated):
                return "Pending"
        elif not _succeeded(container):
            return "Failed" if isinstance(state, Terminated) and never else "Pending"
    if any(isinstance(container.state, Waiting) and container.last is None for container in main):
        return "Pending"
    codes = [container.state.exit_code for container in main if isinstance(container.state, Terminated)]
    if len(codes) < len(main) or (policy == "Always" and not ended):
        return "Running"
    if any(codes):
        return "Failed" if never else "Running"
    return "Succeeded"


def container_status(container: Container) -> Object:
    status: Object = {
        "name": container.name,
        "state": _state(container.state),
        "lastState": _state(container.last) if container.last else {},
        "ready": container.ready,
        "started": container.started,
        "restartCount": container.restarts,
        "image": container.image,
        "imageID": "",
    }
    if container.container_id:
        status["containerID"] = container.container_id
    return status


def moment(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _state(state: State) -> Object:
    match state:
        case Waiting():
            return {"waiting": {"reason": state.reason, **({"message": state.message} if state.message else {})}}
        case Running():
            return {"running": {"startedAt": moment(state.started_at)}}
        case Terminated():
            body: Object = {
                "exitCode": state.exit_code,
                "reason": state.reason,
                "startedAt": moment(state.started_at) if state.started_at else None,
                "finishedAt": moment(state.finished_at) if state.finished_at else None,
            }
            if state.message:
                body["message"] = state.message
            if state.container_id:
                body["containerID"] = state.container_id
            return {"terminated": body}


def _conditions(
    pod: Object, initial: Sequence[Container], main: Sequence[Container], facts: PodFacts, phase: str
) -> dict[str, tuple[bool, str, str]]:
    incomplete = [c.name for c in initial if not (c.started if c.sidecar else _succeeded(c))]
    unready = [c.name for c in (*(c for c in initial if c.sidecar), *main) if not c.ready]
    done = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase)
    initialized = (True, "", "")
    if done == "PodCompleted":
        initialized = (True, "PodCompleted", "")
    elif incomplete:
        initialized = (
            False,
            "ContainersNotInitialized",
            f"containers with incomplete status: [{' '.join(incomplete)}]",
        )
    if done:
        containers = ready = (False, done, "")
    elif unready:
        containers = ready = (False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
    else:
        containers = (True, "", "")
        ready = _gates(pod) or containers
    return {
        "PodReadyToStartContainers": (facts.has_network, "", ""),
        "Initialized": initialized,
        "Ready": ready,
        "ContainersReady": containers,
        "PodScheduled": (True, "", ""),
    }


def _gates(pod: Object) -> tuple[bool, str, str] | None:
    held = {c["type"]: c["status"] for c in (pod.get("status") or {}).get("conditions") or ()}
    problems = []
    for gate in pod["spec"].get("readinessGates") or ():
        name = gate["conditionType"]
        if name not in held:
            problems.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
        elif held[name] != "True":
            problems.append(f'the status of pod readiness gate "{name}" is not "True", but {held[name]}')
    return (False, "ReadinessGatesNotReady", ", ".join(problems)) if problems else None


def _merged(
    pod: Object, wanted: dict[str, tuple[bool, str, str]], generation: int | None, now: dt.datetime
) -> list[Object]:
    held = {c["type"]: c for c in (pod.get("status") or {}).get("conditions") or ()}
    result = []
    for name, (true, reason, message) in wanted.items():
        status = "True" if true else "False"
        before = held.pop(name, None)
        since = before["lastTransitionTime"] if before and before["status"] == status else moment(now)
        condition: Object = {"type": name, "status": status, "lastProbeTime": None, "lastTransitionTime": since}
        if reason:
            condition["reason"] = reason
        if message:
            condition["message"] = message
        if generation is not None:
            condition["observedGeneration"] = generation
        result.append(condition)
    return [*result, *held.values()]


def _succeeded(container: Container) -> bool:
    return isinstance(container.state, Terminated) and container.state.exit_code == 0
