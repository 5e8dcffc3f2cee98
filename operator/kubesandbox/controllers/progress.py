"""A Deployment's status and conditions. Pure."""

import datetime as dt
from collections.abc import Sequence

from kubesandbox.client import Object
from kubesandbox.controllers import pods as about
from kubesandbox.controllers.rollout import Observed, available, is_complete, replicas_of, surge_and_unavailable

NO_DEADLINE = 2**31 - 1
DEFAULT_DEADLINE = 600


def status(seen: Observed, created: Object | None, now: dt.datetime) -> Object:
    """The status to report. `created` is the ReplicaSet that was made just now."""
    deployment, sets = seen.deployment, seen.all
    held: Object = deployment.get("status") or {}
    counts = _counts(seen, sets)
    wanted = deployment["spec"].get("replicas", 1)
    enough = counts["availableReplicas"] >= wanted - surge_and_unavailable(deployment)[1]
    conditions = list(held.get("conditions") or ())
    conditions = about.set_condition(conditions, _availability(enough, now))
    result = {**counts, "conditions": conditions}
    if "collisionCount" in held:
        result["collisionCount"] = held["collisionCount"]
    if deadline(deployment) is None:
        result["conditions"] = _without(conditions, "Progressing")
    else:
        result["conditions"] = _progress(seen, held, result, created, now)
    result["conditions"] = _failure(result["conditions"], seen, now)
    return result


def deadline(deployment: Object) -> int | None:
    """progressDeadlineSeconds, None for no deadline."""
    seconds = int(deployment["spec"].get("progressDeadlineSeconds", DEFAULT_DEADLINE))
    return None if seconds == NO_DEADLINE else seconds


def check_again_in(deployment: Object, new_status: Object, now: dt.datetime) -> float | None:
    """Seconds until the progress deadline has to be looked at, if it may still pass."""
    seconds = deadline(deployment)
    progressing = about.condition({"status": new_status}, "Progressing")
    if seconds is None or progressing is None or deployment["spec"].get("paused"):
        return None
    if is_complete(deployment, new_status) or progressing.get("reason") == "ProgressDeadlineExceeded":
        return None
    since = about.parse_time(progressing["lastUpdateTime"])
    return max(0.0, (since + dt.timedelta(seconds=seconds) - now).total_seconds()) + 1


def _counts(seen: Observed, sets: Sequence[Object]) -> Object:
    def total(name: str, of: Sequence[Object] = sets) -> int:
        return sum((rs.get("status") or {}).get(name, 0) for rs in of)

    there = sum(map(available, sets))
    return {
        "observedGeneration": seen.deployment["metadata"].get("generation", 0),
        "replicas": total("replicas"),
        "updatedReplicas": total("replicas", [seen.new] if seen.new is not None else []),
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": there,
        "unavailableReplicas": max(0, sum(map(replicas_of, sets)) - there),
        "terminatingReplicas": total("terminatingReplicas"),
    }


def _progress(seen: Observed, held: Object, new: Object, created: Object | None, now: dt.datetime) -> list[Object]:
    """The conditions with the Progressing one as it is now."""
    conditions: list[Object] = new["conditions"]
    wanted = _progressing(seen, held, new, created, now)
    if wanted is None:
        return conditions
    before = about.condition(seen.deployment, "Progressing")
    if wanted["reason"] != "ReplicaSetUpdated" or before is None or before["status"] != "True":
        return about.set_condition(conditions, wanted)
    # With each sign of progress lastUpdateTime moves, and the deadline with it.
    wanted["lastTransitionTime"] = before["lastTransitionTime"]
    return [*_without(conditions, "Progressing"), wanted]


def _progressing(seen: Observed, held: Object, new: Object, created: Object | None, now: dt.datetime) -> Object | None:
    """The Progressing condition to set, None to leave it as it is."""
    deployment = seen.deployment
    before = about.condition(deployment, "Progressing")
    reason = before.get("reason") if before else None
    true, why, message = "True", "", ""
    replica_set = seen.new if seen.new is not None else created
    subject = f'Deployment "{deployment["metadata"]["name"]}"'
    if replica_set is not None:
        subject = f'ReplicaSet "{replica_set["metadata"]["name"]}"'
    if deployment["spec"].get("paused"):
        if reason not in {"DeploymentPaused", "ProgressDeadlineExceeded"}:
            true, why, message = "Unknown", "DeploymentPaused", "Deployment is paused"
    elif reason == "DeploymentPaused":
        true, why, message = "Unknown", "DeploymentResumed", "Deployment is resumed"
    elif created is not None:
        why, message = "NewReplicaSetCreated", f'Created new replica set "{created["metadata"]["name"]}"'
    elif new["replicas"] == new["updatedReplicas"] and reason == "NewReplicaSetAvailable":
        pass
    elif is_complete(deployment, new):
        why, message = "NewReplicaSetAvailable", f"{subject} has successfully progressed."
    elif _progressed(held, new):
        why, message = "ReplicaSetUpdated", f"{subject} is progressing."
    elif before is None and replica_set is not None:
        why, message = "FoundNewReplicaSet", f'Found new replica set "{replica_set["metadata"]["name"]}"'
    elif _timed_out(deployment, before, now):
        true, why, message = "False", "ProgressDeadlineExceeded", f"{subject} has timed out progressing."
    return _condition("Progressing", true, why, message, now) if why else None


def _progressed(old: Object, new: Object) -> bool:
    def more(name: str) -> bool:
        return bool(new[name] > old.get(name, 0))

    old_left = old.get("replicas", 0) - old.get("updatedReplicas", 0)
    fewer_old = new["replicas"] - new["updatedReplicas"] < old_left
    return fewer_old or more("updatedReplicas") or more("readyReplicas") or more("availableReplicas")


def _timed_out(deployment: Object, before: Object | None, now: dt.datetime) -> bool:
    seconds = deadline(deployment)
    if before is None or seconds is None or before.get("reason") == "NewReplicaSetAvailable":
        return False
    if before.get("reason") == "ProgressDeadlineExceeded":
        return True
    return about.parse_time(before["lastUpdateTime"]) + dt.timedelta(seconds=seconds) < now


def _failure(conditions: list[Object], seen: Observed, now: dt.datetime) -> list[Object]:
    """What a ReplicaSet could not create or delete, the new one's before the others'."""
    rest = _without(conditions, "ReplicaFailure")
    for rs in (*([seen.new] if seen.new is not None else []), *seen.old):
        failed = about.condition(rs, "ReplicaFailure")
        if failed is not None:
            held = [c for c in conditions if c["type"] == "ReplicaFailure"]
            wanted = _condition("ReplicaFailure", failed["status"], failed["reason"], failed["message"], now)
            wanted["lastUpdateTime"] = wanted["lastTransitionTime"] = failed["lastTransitionTime"]
            return about.set_condition([*rest, *held], wanted)
    return rest


def _availability(enough: bool, now: dt.datetime) -> Object:
    if enough:
        return _condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
    message = "Deployment does not have minimum availability."
    return _condition("Available", "False", "MinimumReplicasUnavailable", message, now)


def _condition(kind: str, true: str, reason: str, message: str, now: dt.datetime) -> Object:
    time = about.format_time(now)
    return {
        "type": kind,
        "status": true,
        "lastUpdateTime": time,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    }


def _without(conditions: Sequence[Object], kind: str) -> list[Object]:
    return [held for held in conditions if held["type"] != kind]
