"""What controllers ask of pods and of conditions. Pure."""

import copy
import datetime as dt
import secrets
from collections.abc import Iterable

from kubesandbox.client import Object

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Letters of generated names: no vowels and no digits that look like one."""


def suffix(length: int = 5) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def condition(obj: Object, kind: str) -> Object | None:
    for held in (obj.get("status") or {}).get("conditions") or ():
        if held["type"] == kind:
            return dict(held)
    return None


def is_true(obj: Object, kind: str) -> bool:
    held = condition(obj, kind)
    return held is not None and held["status"] == "True"


def phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def is_deleted(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_active(pod: Object) -> bool:
    """Neither finished nor being deleted."""
    return phase(pod) not in {"Succeeded", "Failed"} and not is_deleted(pod)


def is_ready(pod: Object) -> bool:
    return is_true(pod, "Ready")


def available_in(pod: Object, min_ready_seconds: int, now: dt.datetime) -> float | None:
    """Seconds until a ready pod counts as available, 0 when it does, None when it is not ready."""
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    if not min_ready_seconds:
        return 0.0
    since = parse_time(ready["lastTransitionTime"])
    return max(0.0, (since + dt.timedelta(seconds=min_ready_seconds) - now).total_seconds())


def restarts(pod: Object) -> int:
    status = pod.get("status") or {}
    return sum(container["restartCount"] for container in status.get("containerStatuses") or ())


def from_template(template: Object, owner: Object, reference: Object) -> Object:
    """A pod of the template, named after its owner, and owned by it."""
    metadata = copy.deepcopy(template.get("metadata") or {})
    prefix = f"{owner['metadata']['name']}-"
    return {
        "metadata": {
            "generateName": prefix if len(prefix) <= 58 else prefix[:58],
            "namespace": owner["metadata"]["namespace"],
            "labels": metadata.get("labels") or {},
            "annotations": metadata.get("annotations") or {},
            "finalizers": metadata.get("finalizers") or [],
            "ownerReferences": [reference],
        },
        "spec": copy.deepcopy(template["spec"]),
    }


def set_condition(conditions: Iterable[Object], wanted: Object) -> list[Object]:
    """The conditions with `wanted` in place; unchanged if its status and reason are what is held."""
    result, found = [], False
    for held in conditions:
        if held["type"] != wanted["type"]:
            result.append(held)
            continue
        found = True
        if held["status"] == wanted["status"] and held.get("reason") == wanted.get("reason"):
            result.append(held)
        elif held["status"] == wanted["status"]:
            result.append({**wanted, "lastTransitionTime": held["lastTransitionTime"]})
        else:
            result.append(wanted)
    return result if found else [*result, wanted]


def parse_time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def format_time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
