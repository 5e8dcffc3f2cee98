"""What an Agent and its revisions say of themselves: conditions, status, Events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from switchboard.api.agent import Agent, AgentRevision, ConversationLogSpec, PostgresLog, RevisionState
from switchboard.api.meta import Condition, SecretKeyReference
from switchboard.api.reasons import AgentReason, ConditionType, ConnectorReason
from switchboard.reconcile.conditions import Conditions, Json, timestamp
from switchboard.reconcile.facts import ConnectorFacts
from switchboard.reconcile.outcome import Event, Mend, Problem
from switchboard.reconcile.revisions import Plan, Workload

CHECKING = "Checking"


@dataclass(frozen=True, slots=True)
class Decision:
    """A status as it should be, what to tell, and when to look again."""

    status: Json
    events: tuple[Event, ...] = ()
    requeue: float | None = None
    """Seconds after which something may be different that no change will announce."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was observed of an Agent besides its revisions."""

    connectors: Mapping[str, ConnectorFacts | None] = field(default_factory=dict)
    """Those that the live or wanted revision names; None where there is none."""
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    url: str | None = None
    blocked: Problem | None = None
    """Why something could not be applied."""


def conversation_log(agent: Agent, backend: str, secret: str, key: str) -> ConversationLogSpec:
    """The Agent's conversation log, the operator's default filled in."""
    if agent.spec.conversation_log is not None:
        return agent.spec.conversation_log
    if backend == "Postgres":
        postgres = PostgresLog(secret_ref=SecretKeyReference(name=secret, key=key))
        return ConversationLogSpec(backend="Postgres", postgres=postgres)
    return ConversationLogSpec()


def agent_status(agent: Agent, plan: Plan, seen: Seen, now: datetime) -> Decision:
    """An Agent's status."""
    conditions = Conditions(agent.status.conditions, agent.metadata.generation, now)
    revision_problem = plan.problem or seen.blocked or _revision_problem(plan, seen)
    if revision_problem is None:
        conditions.set(
            ConditionType.REVISION_READY,
            "True",
            AgentReason.REVISION_AVAILABLE,
            f"{plan.live} serves and is available.",
        )
    else:
        conditions.set(ConditionType.REVISION_READY, "False", revision_problem.reason, revision_problem.message)
    summaries, connector_problem = _connectors(agent, seen)
    if connector_problem is not None:
        conditions.set(ConditionType.CONNECTORS_READY, "False", connector_problem.reason, connector_problem.message)
    elif seen.connectors:
        names = ", ".join(sorted(seen.connectors))
        conditions.set(ConditionType.CONNECTORS_READY, "True", AgentReason.CONNECTORS_CONNECTED, f"Connected: {names}.")
    else:
        conditions.set(
            ConditionType.CONNECTORS_READY, "True", AgentReason.NO_CONNECTORS, "spec.template.connectors names none."
        )
    problem = revision_problem or connector_problem
    if problem is None:
        conditions.set(ConditionType.READY, "True", AgentReason.SERVING, f"{plan.live} serves as wanted.")
    else:
        conditions.set(ConditionType.READY, "False", problem.reason, problem.message)
    conditions.progress(problem)
    connected = sum(1 for summary in summaries if summary["status"] == ConnectorReason.CONNECTED)
    status: Json = {
        "observedGeneration": agent.metadata.generation,
        "conditions": conditions.manifest(),
        "desiredRevision": plan.desired,
        "liveRevision": plan.live,
        "url": seen.url,
        "connectors": summaries or None,
        "connectorsReady": f"{connected}/{len(summaries)}",
    }
    told = conditions.transition()
    events = [told] if told is not None else []
    if plan.live is not None and plan.live != agent.status.live_revision:
        before = f" instead of {agent.status.live_revision}" if agent.status.live_revision else ""
        events.insert(0, Event(AgentReason.REVISION_LIVE, f"{plan.live} serves{before}."))
    waits = problem is not None and problem.mend is Mend.ARRIVE
    return Decision(status, tuple(events), 31.0 if waits else None)


def _revision_problem(plan: Plan, seen: Seen) -> Problem | None:
    """Why the desired revision does not serve, or serves badly."""
    goes_on = f" {plan.live} goes on serving." if plan.live not in (None, plan.desired) else ""
    workload = seen.workloads.get(plan.desired or "")
    if workload is None:
        return Problem(AgentReason.DEPLOYING, f"{plan.desired} is being deployed.{goes_on}", Mend.WAIT)
    if workload.problem is not None:
        message = f"{plan.desired}: {workload.problem.message}{goes_on}"
        return Problem(workload.problem.reason, message, workload.problem.mend)
    if not workload.available:
        ready = f"{workload.ready} of {workload.wanted} pods are ready"
        return Problem(AgentReason.DEPLOYING, f"{plan.desired} is being deployed: {ready}.{goes_on}", Mend.WAIT)
    if plan.live != plan.desired:
        return Problem(AgentReason.DEPLOYING, f"{plan.desired} is about to serve.{goes_on}", Mend.WAIT)
    return None


def _connectors(agent: Agent, seen: Seen) -> tuple[list[dict[str, str]], Problem | None]:
    """Each connector's state, and the first that is not connected."""
    summaries: list[dict[str, str]] = []
    problems: list[Problem] = []
    for name, connector in sorted(seen.connectors.items()):
        status, problem = _connector(agent, name, connector)
        summaries.append({"name": name, "status": status})
        if problem is not None:
            problems.append(problem)
    # What a person must mend is worth more words than what is still going on.
    problems.sort(key=lambda problem: problem.mend is Mend.WAIT)
    return summaries, next(iter(problems), None)


def _connector(agent: Agent, name: str, connector: ConnectorFacts | None) -> tuple[str, Problem | None]:
    namespace = agent.metadata.namespace
    if connector is None:
        message = (
            f"spec.template.connectors names {name}, and there is no such TwilioConnector in namespace {namespace}. "
            "Create it, or take it out."
        )
        return AgentReason.CONNECTOR_MISSING, Problem(AgentReason.CONNECTOR_MISSING, message, Mend.ARRIVE)
    holder = connector.agent
    if holder is not None and holder != agent.metadata.name:
        message = (
            f"The TwilioConnector {name} belongs to the Agent {holder}. Take it out of one of the two Agents: "
            f"a connector has one."
        )
        return AgentReason.CONNECTOR_TAKEN, Problem(AgentReason.CONNECTOR_TAKEN, message)
    ready = connector.ready
    if ready is None:
        return CHECKING, Problem(AgentReason.CONNECTORS_NOT_READY, f"{name} is being checked.", Mend.WAIT)
    if ready.status == "True":
        return ready.reason, None
    message = f"{name}: {ready.message}" if ready.message else f"{name}: {ready.reason}"
    mend = Mend.PERSON if connector.stalled else Mend.WAIT
    return ready.reason, Problem(AgentReason.CONNECTORS_NOT_READY, message, mend)


def revision_status(
    revision: AgentRevision, workload: Workload | None, *, live: str | None, desired: str | None, now: datetime
) -> Decision:
    """An AgentRevision's status. `drain` belongs to its own pods; it is only cleared when the revision is live."""
    name = revision.metadata.name
    conditions = Conditions(revision.status.conditions, revision.metadata.generation, now)
    state = _state(name, workload, live, desired)
    if workload is None:
        why = "Kept for going back." if state == "Standby" else "Its Deployment is being made."
        conditions.set(
            ConditionType.AVAILABLE,
            "False",
            AgentReason.STANDBY if state == "Standby" else AgentReason.PROGRESSING,
            why,
        )
    elif workload.available:
        pods = f"{workload.ready} of {workload.wanted} pods are ready."
        reason = AgentReason.SUPERSEDED if state == "Draining" else AgentReason.REVISION_AVAILABLE
        conditions.set(ConditionType.AVAILABLE, "True", reason, pods)
    elif workload.problem is not None:
        conditions.set(ConditionType.AVAILABLE, "False", workload.problem.reason, workload.problem.message)
    else:
        pods = f"{workload.ready} of {workload.wanted} pods are ready."
        conditions.set(ConditionType.AVAILABLE, "False", AgentReason.PROGRESSING, pods)
    if workload is not None and not workload.available and state != "Draining":
        conditions.progress(workload.problem or Problem(AgentReason.PROGRESSING, "Its pods start.", Mend.WAIT))
    promoted = revision.status.promoted_time
    if name == live and (promoted is None or revision.status.state not in ("Serving", "Failed")):
        promoted = now
    status: Json = {
        "observedGeneration": revision.metadata.generation,
        "conditions": conditions.manifest(),
        "state": state,
        # What its pods said of an earlier time must not end it the next time that it is superseded.
        **({"drain": None} if name == live else {}),
        "ready": f"{workload.ready}/{workload.wanted}" if workload is not None else None,
        "promotedTime": timestamp(promoted) if promoted is not None else None,
    }
    return Decision(status)


def _state(name: str, workload: Workload | None, live: str | None, desired: str | None) -> RevisionState:
    if name == live:
        return "Serving"
    if name == desired:
        failed = workload is not None and workload.problem is not None and workload.problem.mend is Mend.PERSON
        return "Failed" if failed else "Starting"
    return "Draining" if workload is not None else "Standby"


def first_status(agent_conditions: Sequence[Condition], generation: int, now: datetime) -> Json:
    """What a new object says before anything was looked at: `Ready` is `Unknown`, so that nothing takes it for done."""
    conditions = Conditions(agent_conditions, generation, now)
    conditions.set(ConditionType.READY, "Unknown", CHECKING, "Not checked yet.")
    conditions.progress(Problem(CHECKING, "Not checked yet.", Mend.WAIT))
    return {"conditions": conditions.manifest(), "observedGeneration": generation}
