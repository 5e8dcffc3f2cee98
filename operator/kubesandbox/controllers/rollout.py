"""A Deployment's decision: which ReplicaSets to make, scale and remove next. Pure."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from kubesandbox.client import Object, owner_of
from kubesandbox.client.resources import DEPLOYMENTS, controller_reference
from kubesandbox.controllers import pods as about
from kubesandbox.controllers.pods import ALPHABET

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NOT_COPIED = {REVISION, REVISION_HISTORY, DESIRED, MAXIMUM, LAST_APPLIED, "deprecated.deployment.rollback.to"}


@dataclass(frozen=True, slots=True)
class Scale:
    replica_set: Object
    replicas: int


@dataclass(slots=True)
class Plan:
    """What to do now. Everything else follows when its effects are seen."""

    create: Object | None = None
    annotate: dict[str, str] | None = None  # the new ReplicaSet's annotations to bring up to date
    min_ready_seconds: int | None = None  # … and its minReadySeconds
    scale: list[Scale] = field(default_factory=list)
    remove: list[Object] = field(default_factory=list)
    revision: str | None = None  # the Deployment's own annotation


@dataclass(frozen=True, slots=True)
class Observed:
    """A Deployment with its ReplicaSets: the one of its template, and the others, oldest first."""

    deployment: Object
    new: Object | None
    old: list[Object]

    @property
    def all(self) -> list[Object]:
        return [*self.old, *([self.new] if self.new is not None else [])]


def observe(deployment: Object, replica_sets: Iterable[Object]) -> Observed:
    """Sort what the Deployment owns."""
    ordered = sorted(replica_sets, key=_age)
    template = deployment["spec"]["template"]
    new = next((rs for rs in ordered if _same_template(rs["spec"]["template"], template)), None)
    return Observed(deployment, new, [rs for rs in ordered if rs is not new])


def decide(seen: Observed, pods: Sequence[Object]) -> Plan:
    """The next steps. `pods` are those of all its ReplicaSets."""
    plan = Plan()
    spec = seen.deployment["spec"]
    if about.is_deleted(seen.deployment):
        return plan
    if spec.get("paused"):
        _adjust(plan, seen)
        _scale_all(plan, seen)
        _clean_up(plan, seen)
    elif _was_scaled(seen):
        _adjust(plan, seen)
        _scale_all(plan, seen)
    elif (spec.get("strategy") or {}).get("type") == "Recreate":
        _recreate(plan, seen, pods)
    else:
        _roll(plan, seen)
    return plan


def surge_and_unavailable(deployment: Object) -> tuple[int, int]:
    """maxSurge, rounded up, and maxUnavailable, rounded down, as numbers of pods; not both are zero."""
    spec = deployment["spec"]
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    wanted = spec.get("replicas", 1)
    surge = _of(rolling.get("maxSurge", "25%"), wanted, math.ceil)
    unavailable = _of(rolling.get("maxUnavailable", "25%"), wanted, math.floor)
    if not surge and not unavailable:
        unavailable = 1
    return surge, min(unavailable, wanted)


def template_hash(template: Object, collisions: int) -> str:
    """A name for the template: ten safe letters, other ones after each collision."""
    text = json.dumps(template, sort_keys=True, separators=(",", ":")) + (str(collisions) if collisions else "")
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    letters = ""
    for _ in range(10):
        number, digit = divmod(number, len(ALPHABET))
        letters += ALPHABET[digit]
    return letters


def replicas_of(replica_set: Object) -> int:
    return int(replica_set["spec"].get("replicas", 1))


def available(replica_set: Object) -> int:
    return int((replica_set.get("status") or {}).get("availableReplicas", 0))


def is_complete(deployment: Object, status: Object) -> bool:
    wanted = deployment["spec"].get("replicas", 1)
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return current and all(count == wanted for count in counts)


def replica_annotations(deployment: Object) -> dict[str, str]:
    """What a scaled ReplicaSet remembers of its Deployment's size."""
    wanted = deployment["spec"].get("replicas", 1)
    return {DESIRED: str(wanted), MAXIMUM: str(wanted + surge_and_unavailable(deployment)[0])}


def revision(replica_set: Object) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def _roll(plan: Plan, seen: Observed) -> None:
    _adjust(plan, seen, create=True)
    new = seen.new
    if new is None:
        return
    wanted = seen.deployment["spec"].get("replicas", 1)
    target = wanted if replicas_of(new) > wanted else _new_size(seen, new)
    if target != replicas_of(new):
        plan.scale.append(Scale(new, target))
        return
    _shrink_old(plan, seen, new)
    if not plan.scale and is_complete(seen.deployment, seen.deployment.get("status") or {}):
        _clean_up(plan, seen)


def _shrink_old(plan: Plan, seen: Observed, new: Object) -> None:
    """Take from old ReplicaSets what availability allows: first pods that are not available, then others."""
    wanted = seen.deployment["spec"].get("replicas", 1)
    minimum = wanted - surge_and_unavailable(seen.deployment)[1]
    active = [rs for rs in seen.old if replicas_of(rs)]
    total = sum(map(replicas_of, seen.all))
    may_go = total - minimum - (replicas_of(new) - available(new))
    if not active or may_go <= 0:
        return
    sizes = {rs["metadata"]["uid"]: replicas_of(rs) for rs in active}
    gone = 0
    for rs in active:
        count = max(0, min(may_go - gone, replicas_of(rs) - available(rs)))
        sizes[rs["metadata"]["uid"]] -= count
        gone += count
    surplus = sum(map(available, seen.all)) - minimum
    for rs in active:
        count = min(sizes[rs["metadata"]["uid"]], max(surplus, 0))
        sizes[rs["metadata"]["uid"]] -= count
        surplus -= count
    for rs in active:
        if sizes[rs["metadata"]["uid"]] != replicas_of(rs):
            plan.scale.append(Scale(rs, sizes[rs["metadata"]["uid"]]))


def _recreate(plan: Plan, seen: Observed, pods: Sequence[Object]) -> None:
    _adjust(plan, seen)
    active = [rs for rs in seen.old if replicas_of(rs)]
    if active:
        plan.scale.extend(Scale(rs, 0) for rs in active)
        return
    new_uid = seen.new["metadata"]["uid"] if seen.new is not None else None
    for pod in pods:
        owner = owner_of(pod)
        if owner is not None and owner["uid"] != new_uid and about.phase(pod) not in {"Failed", "Succeeded"}:
            return
    if seen.new is None:
        _adjust(plan, seen, create=True)
        return
    wanted = seen.deployment["spec"].get("replicas", 1)
    if replicas_of(seen.new) != wanted:
        plan.scale.append(Scale(seen.new, wanted))
    elif is_complete(seen.deployment, seen.deployment.get("status") or {}):
        _clean_up(plan, seen)


def _adjust(plan: Plan, seen: Observed, *, create: bool = False) -> None:
    """The new ReplicaSet's revision and annotations, or the ReplicaSet itself if it may be made now."""
    deployment = seen.deployment
    next_revision = max(map(revision, seen.old), default=0) + 1
    if seen.new is None:
        if create:
            plan.create = _new_replica_set(seen, next_revision)
            plan.revision = str(next_revision)
        return
    held = seen.new["metadata"].get("annotations") or {}
    wanted = {name: value for name, value in _copied(deployment).items() if held.get(name) != value}
    current = revision(seen.new)
    if current < next_revision:
        wanted[REVISION] = str(next_revision)
        if current:
            wanted[REVISION_HISTORY] = ",".join(filter(None, (held.get(REVISION_HISTORY), str(current))))
    if wanted:
        plan.annotate = wanted
    minimum = deployment["spec"].get("minReadySeconds", 0)
    if seen.new["spec"].get("minReadySeconds", 0) != minimum:
        plan.min_ready_seconds = minimum
    number = str(max(current, next_revision))
    if (deployment["metadata"].get("annotations") or {}).get(REVISION) != number:
        plan.revision = number


def _new_replica_set(seen: Observed, number: int) -> Object:
    deployment = seen.deployment
    metadata, spec = deployment["metadata"], deployment["spec"]
    template = spec["template"]
    collisions = (deployment.get("status") or {}).get("collisionCount") or 0
    label = {HASH_LABEL: template_hash(template, collisions)}
    template_metadata = template.get("metadata") or {}
    labels = {**(template_metadata.get("labels") or {}), **label}
    selector = spec["selector"]
    made: Object = {
        "metadata": {
            "name": f"{metadata['name']}-{label[HASH_LABEL]}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {**_copied(deployment), **replica_annotations(deployment), REVISION: str(number)},
            "ownerReferences": [controller_reference(deployment, DEPLOYMENTS)],
        },
        "spec": {
            "minReadySeconds": spec.get("minReadySeconds", 0),
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **label}},
            "template": {**template, "metadata": {**template_metadata, "labels": labels}},
        },
    }
    made["spec"]["replicas"] = _size_in(seen.deployment, sum(map(replicas_of, seen.old)), 0)
    return made


def _new_size(seen: Observed, new: Object) -> int:
    return _size_in(seen.deployment, sum(map(replicas_of, seen.all)), replicas_of(new))


def _size_in(deployment: Object, total: int, current: int) -> int:
    """How many replicas the new ReplicaSet may have now, when all together have `total`."""
    wanted = int(deployment["spec"].get("replicas", 1))
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return wanted
    room = wanted + surge_and_unavailable(deployment)[0] - total
    return current if room <= 0 else current + min(room, wanted - current)


def _was_scaled(seen: Observed) -> bool:
    wanted = str(seen.deployment["spec"].get("replicas", 1))
    for rs in seen.all:
        desired = (rs["metadata"].get("annotations") or {}).get(DESIRED)
        if replicas_of(rs) and desired is not None and desired != wanted:
            return True
    return False


def _scale_all(plan: Plan, seen: Observed) -> None:
    """A changed `replicas`: give it to the only active ReplicaSet, or to all in proportion to their sizes."""
    deployment = seen.deployment
    wanted = deployment["spec"].get("replicas", 1)
    active = [rs for rs in seen.all if replicas_of(rs)]
    if len(active) <= 1:
        only = active[0] if active else (seen.new or (seen.old[-1] if seen.old else None))
        if only is not None and (replicas_of(only) != wanted or _was_scaled(seen)):
            plan.scale.append(Scale(only, wanted))
        return
    if seen.new is not None and _is_saturated(deployment, seen.new):
        plan.scale.extend(Scale(rs, 0) for rs in seen.old if replicas_of(rs))
        return
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return
    allowed = wanted + surge_and_unavailable(deployment)[0] if wanted else 0
    to_add = allowed - sum(map(replicas_of, active))
    # Larger ones first; among equals newer ones gain first and older ones lose first.
    ordered = sorted(active, key=_age, reverse=to_add > 0)
    ordered.sort(key=replicas_of, reverse=True)
    sizes, added = [], 0
    for rs in ordered:
        share = _fraction(rs, deployment)
        left = to_add - added
        share = 0 if not left else (min(share, left) if to_add > 0 else max(share, left))
        sizes.append(replicas_of(rs) + share)
        added += share
    if sizes:
        sizes[0] = max(0, sizes[0] + to_add - added)
    plan.scale.extend(Scale(rs, size) for rs, size in zip(ordered, sizes, strict=True))


def _fraction(rs: Object, deployment: Object) -> int:
    wanted = int(deployment["spec"].get("replicas", 1))
    if not wanted:
        return -replicas_of(rs)
    annotated = (rs["metadata"].get("annotations") or {}).get(MAXIMUM)
    before = int(annotated or (deployment.get("status") or {}).get("replicas", 0))
    if not before:
        return 0
    after = wanted + surge_and_unavailable(deployment)[0]
    return math.floor(replicas_of(rs) * after / before + 0.5) - replicas_of(rs)


def _is_saturated(deployment: Object, rs: Object) -> bool:
    wanted = deployment["spec"].get("replicas", 1)
    desired = (rs["metadata"].get("annotations") or {}).get(DESIRED)
    return desired == str(wanted) and replicas_of(rs) == wanted and available(rs) == wanted


def _clean_up(plan: Plan, seen: Observed) -> None:
    """Old ReplicaSets beyond revisionHistoryLimit, those of the lowest revision first."""
    limit = seen.deployment["spec"].get("revisionHistoryLimit", 10)
    alive = [rs for rs in seen.old if not about.is_deleted(rs)]
    for rs in sorted(alive, key=lambda rs: (revision(rs), _age(rs)))[: max(0, len(alive) - limit)]:
        status = rs.get("status") or {}
        settled = rs["metadata"].get("generation", 0) <= status.get("observedGeneration", 0)
        if not replicas_of(rs) and not status.get("replicas") and settled:
            plan.remove.append(rs)


def _copied(deployment: Object) -> dict[str, str]:
    held = deployment["metadata"].get("annotations") or {}
    return {name: value for name, value in held.items() if name not in NOT_COPIED}


def _same_template(one: Object, other: Object) -> bool:
    return _without_hash(one) == _without_hash(other)


def _without_hash(template: Object) -> Object:
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    metadata.pop("creationTimestamp", None)
    return {**template, "metadata": metadata}


def _of(value: int | str, whole: int, rounding: Callable[[float], int]) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return int(rounding(whole * int(value[:-1]) / 100))
    return int(value)


def _age(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("creationTimestamp") or "", obj["metadata"]["name"]
