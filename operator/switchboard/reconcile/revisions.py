"""Which revision an Agent should serve, which it serves, and which are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from switchboard.api.agent import AgentRevision, AgentTemplate, template_content
from switchboard.api.reasons import AgentReason
from switchboard.reconcile.outcome import Mend, Problem


def content_hash(template: AgentTemplate) -> str:
    """10 hex digits of what the template says.

    Defaults are left out, so that the same manifest has the same name under a version that adds a default; the name
    is left out because it is not content.
    """
    said = template.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"name"})
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:10]


def revision_name(agent: str, template: AgentTemplate) -> str:
    """The name that the commit knows."""
    return f"{agent}-{template.name or content_hash(template)}"


def same_content(one: AgentTemplate, other: AgentTemplate) -> bool:
    """Whether two templates say the same, defaults filled in on both sides."""
    return template_content(one) == template_content(other)


@dataclass(frozen=True, slots=True)
class Workload:
    """What is known of the Deployment that runs a revision."""

    available: bool
    ready: int
    wanted: int
    problem: Problem | None = None
    """Why it is not available, in the pods' own words."""
    silent_since: datetime | None = None
    """Since when no pod of it is ready."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of an Agent's revisions."""

    desired: str | None
    """The revision that should serve; None while the template cannot become one."""
    create: str | None
    """Name of a revision to make from the template."""
    live: str | None
    """The revision that serves from now on."""
    run: tuple[str, ...] = ()
    """Those that must have a Deployment."""
    stop: tuple[str, ...] = ()
    """Those whose Deployment goes."""
    drop: tuple[str, ...] = ()
    """Those that are no longer kept."""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What was observed of an Agent's revisions."""

    agent: str
    revisions: Mapping[str, AgentRevision] = field(default_factory=dict)
    """Those that the Agent owns, by name."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """AgentRevisions that stand in the way of their names, and why: `belongs to the Agent other`."""
    ending: frozenset[str] = frozenset()
    """The Agent's own that are being deleted and are still there."""
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    """What runs them, by name."""
    live: str | None = None
    """The one that served until now."""
    saved_as: str | None = None
    """The name that the template's revision has, where it is known already."""


def plan(
    known: Known,
    template: AgentTemplate | None,
    *,
    pin: str | None,
    limit: int,
    now: datetime,
    drain_seconds: float,
    problem: Problem | None = None,
) -> Plan:
    """What becomes of the revisions.

    Args:
        known: What was observed.
        template: The Agent's template with what it refers to filled in; None if that could not be read.
        pin: `spec.revision`.
        limit: `spec.revisionHistoryLimit`.
        now: The time.
        drain_seconds: How long a superseded revision none of whose pods is ready is kept.
        problem: Why `template` is None.
    """
    saved, create, trouble = _saved(known, template, problem)
    live = known.live if known.live in known.revisions else None
    wanted, trouble = _wanted(known, saved, pin, live, trouble)
    if wanted is None or wanted == create:
        serving = live
    elif live is None or _available(known, wanted):
        serving = wanted if _available(known, wanted) else _fallback(known, live, wanted)
    else:
        serving = live
    keep_running = {name for name in (wanted, serving) if name is not None and name in known.revisions}
    stop, draining = _superseded(known, keep_running, serving, now, drain_seconds)
    kept = keep_running | draining | {name for name in (pin, saved) if name is not None}
    return Plan(
        desired=wanted,
        create=create,
        live=serving,
        run=tuple(sorted(keep_running | draining)),
        stop=tuple(sorted(stop)),
        drop=tuple(_beyond(known, kept, limit)),
        problem=trouble,
    )


def _saved(
    known: Known, template: AgentTemplate | None, problem: Problem | None
) -> tuple[str | None, str | None, Problem | None]:
    """The template's revision, the name of one to make, and what stands in the way."""
    if template is None:
        return None, None, problem
    name = known.saved_as or revision_name(known.agent, template)
    if name in known.ending:
        message = f"The AgentRevision {name} is being deleted, and made again once it is gone."
        return None, None, Problem(AgentReason.DEPLOYING, message, Mend.WAIT)
    if name in known.taken:
        return None, None, _taken(name, f"it {known.taken[name]}")
    # A name that the commit gives must come to exist; without one any kept revision that says the same will do.
    candidates = [name] if template.name is not None else [name, *_newest_first(known)]
    for other in candidates:
        if other in known.revisions and same_content(known.revisions[other].spec, template):
            return other, None, None
    if name in known.revisions:
        return None, None, _taken(name, "it was saved with other content, and a revision never changes")
    return name, name, None


def _taken(name: str, why: str) -> Problem:
    return Problem(
        AgentReason.REVISION_NAME_TAKEN,
        f"The AgentRevision {name} exists and {why}. Set another spec.template.name, or none.",
    )


def _wanted(
    known: Known, saved: str | None, pin: str | None, live: str | None, problem: Problem | None
) -> tuple[str | None, Problem | None]:
    """The revision that should serve. Where the one asked for is not there, the live one goes on."""
    if pin is None:
        if known.saved_as in known.ending:
            return live, problem  # it comes back: no older one takes its place meanwhile
        return saved if saved is not None else live or _newest(known), problem
    if pin in known.revisions or pin == saved:
        return pin, problem
    why = "is being deleted" if pin in known.ending else known.taken.get(pin, "does not exist")
    serving = live or _newest_available(known) or saved or _newest(known)
    kept = ", ".join(_newest_first(known)[:5]) or "none"
    missing = Problem(
        AgentReason.REVISION_MISSING,
        f"spec.revision names {pin}, which {why}; {serving or 'nothing'} goes on serving. Kept revisions: {kept}.",
    )
    return serving, missing


def _fallback(known: Known, live: str | None, wanted: str) -> str | None:
    """Nothing is live and the wanted one is not yet available: another one that is, else nothing."""
    return live or next((name for name in _newest_first(known) if name != wanted and _available(known, name)), None)


def _available(known: Known, name: str) -> bool:
    workload = known.workloads.get(name)
    return workload is not None and workload.available


def _newest_first(known: Known) -> list[str]:
    def age(name: str) -> tuple[float, str]:
        created = known.revisions[name].metadata.creation_timestamp
        return (created.timestamp() if created is not None else 0.0, name)

    return sorted(known.revisions, key=age, reverse=True)


def _newest(known: Known) -> str | None:
    return next(iter(_newest_first(known)), None)


def _newest_available(known: Known) -> str | None:
    return next((name for name in _newest_first(known) if _available(known, name)), None)


def _superseded(
    known: Known, running: set[str], live: str | None, now: datetime, drain_seconds: float
) -> tuple[set[str], set[str]]:
    """Of those that have a Deployment and should have none: which go now, and which still drain."""
    stop, draining = set(), set()
    for name in known.workloads:
        if name in running:
            continue
        if _drained(known.revisions[name], known.workloads[name], live, now, drain_seconds):
            stop.add(name)
        else:
            draining.add(name)
    return stop, draining


def _drained(
    revision: AgentRevision, workload: Workload, live: str | None, now: datetime, drain_seconds: float
) -> bool:
    if revision.status.promoted_time is None:
        return True  # it never served, so no conversation is its own
    drain = revision.status.drain
    if live is not None and drain is not None and drain.revision == live and drain.working == 0:
        return True
    # Its pods cannot say so any more. What waits stands in the log, where the live revision finds it.
    silent = workload.silent_since
    return workload.ready == 0 and silent is not None and (now - silent).total_seconds() >= drain_seconds


def _beyond(known: Known, kept: set[str], limit: int) -> Sequence[str]:
    """Superseded revisions beyond the history's limit, oldest last."""
    superseded = [name for name in _newest_first(known) if name not in kept and name not in known.workloads]
    return superseded[limit:]
