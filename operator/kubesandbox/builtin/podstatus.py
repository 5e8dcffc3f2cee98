"""A pod in one word, as `kubectl get pods` shows it (printers.go, printPod)."""

from __future__ import annotations

from kubesandbox.ages import since
from kubesandbox.objects import Json, Object, dig


def ready_cell(obj: Object) -> str:
    """`ready/total` containers."""
    restartable = {c["name"] for c in dig(obj, "spec", "initContainers") or () if c.get("restartPolicy") == "Always"}
    total = len(dig(obj, "spec", "containers") or ()) + len(restartable)
    statuses = dig(obj, "status", "containerStatuses") or ()
    sidecars = [s for s in dig(obj, "status", "initContainerStatuses") or () if s.get("name") in restartable]
    ready = sum(1 for s in (*statuses, *sidecars) if s.get("ready") and dig(s, "state", "running") is not None)
    return f"{ready}/{total}"


def restarts_cell(obj: Object) -> str:
    """Restarts, and how long ago the last one was."""
    statuses = [*(dig(obj, "status", "containerStatuses") or ()), *(dig(obj, "status", "initContainerStatuses") or ())]
    count = sum(status.get("restartCount") or 0 for status in statuses)
    ends = [dig(status, "lastState", "terminated", "finishedAt") for status in statuses]
    last = max((end for end in ends if end), default=None)
    return f"{count} ({since(last)} ago)" if count and last else str(count)


def _exit_word(terminated: Json) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _init_word(obj: Object) -> str | None:
    """What an init container that is not done says of the pod."""
    specs = dig(obj, "spec", "initContainers") or []
    statuses = dig(obj, "status", "initContainerStatuses") or []
    for index, status in enumerate(statuses):
        spec: Object = next((c for c in specs if c.get("name") == status.get("name")), {})
        terminated, waiting = dig(status, "state", "terminated"), dig(status, "state", "waiting")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if spec.get("restartPolicy") == "Always" and status.get("started"):
            continue
        if terminated is not None:
            return f"Init:{_exit_word(terminated)}"
        if waiting and waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(specs)}"
    return None


def status_cell(obj: Object) -> str:
    """The reason that says most about the pod."""
    status = obj.get("status") or {}
    word = status.get("reason") or status.get("phase") or "Unknown"
    scheduled = next((c for c in status.get("conditions") or () if c.get("type") == "PodScheduled"), None)
    if scheduled and scheduled.get("reason") == "SchedulingGated":
        word = "SchedulingGated"
    init = _init_word(obj)
    initialized = any(
        c.get("type") == "Initialized" and c.get("status") == "True" for c in status.get("conditions") or ()
    )
    if init is not None:
        word = init
    if init is None or initialized:
        word = _containers_word(status, word)
    meta = obj["metadata"]
    if meta.get("deletionTimestamp") and status.get("reason") == "NodeLost":
        return "Unknown"
    if meta.get("deletionTimestamp") and status.get("phase") not in {"Failed", "Succeeded"}:
        return "Terminating"
    return str(word)


def _containers_word(status: Object, word: str) -> str:
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        waiting, terminated = dig(container, "state", "waiting"), dig(container, "state", "terminated")
        if waiting and waiting.get("reason"):
            word = waiting["reason"]
        elif terminated is not None:
            word = _exit_word(terminated)
        elif container.get("ready") and dig(container, "state", "running") is not None:
            running = True
    if word == "Completed" and running:
        ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
        word = "Running" if ready else "NotReady"
    return word
