"""Conditions: what moves and what does not."""

from __future__ import annotations

from datetime import timedelta

from switchboard.api.meta import Condition
from switchboard.api.reasons import ConditionType
from switchboard.reconcile.conditions import Conditions
from switchboard.reconcile.outcome import Mend, Problem

from .samples import NOW

LATER = NOW + timedelta(minutes=5)


def after(*conditions: Condition | dict[str, object], minutes: float = 0) -> Conditions:
    read = [it if isinstance(it, Condition) else Condition.model_validate(it) for it in conditions]
    return Conditions(read, 7, NOW + timedelta(minutes=minutes))


def ready(status: str = "True", reason: str = "Connected") -> Condition:
    return Condition.model_validate(
        {"type": "Ready", "status": status, "reason": reason, "lastTransitionTime": NOW.isoformat()}
    )


def test_the_time_moves_when_the_status_does() -> None:
    conditions = after(ready(), minutes=5)
    conditions.set(ConditionType.READY, "False", "NumberNotFound")
    changed = conditions.of(ConditionType.READY)
    assert changed is not None
    assert changed.last_transition_time == LATER


def test_the_time_stays_when_only_the_reason_changes() -> None:
    conditions = after(ready("False", "NumberNotFound"), minutes=5)
    conditions.set(ConditionType.READY, "False", "NumberConflict", "Another one holds it.")
    changed = conditions.of(ConditionType.READY)
    assert changed is not None
    assert (changed.last_transition_time, changed.reason) == (NOW, "NumberConflict")


def test_every_condition_says_which_generation_it_speaks_of() -> None:
    conditions = after()
    conditions.set(ConditionType.READY, "True", "Connected")
    assert conditions.manifest()[0]["observedGeneration"] == 7


def test_what_a_person_must_mend_is_stalled_at_once() -> None:
    conditions = after()
    conditions.progress(Problem("NumberNotFound", "…"))
    assert [it["type"] for it in conditions.manifest()] == ["Stalled"]


def test_what_goes_on_by_itself_is_reconciling() -> None:
    conditions = after()
    conditions.progress(Problem("Deploying", "…", Mend.WAIT))
    assert [it["type"] for it in conditions.manifest()] == ["Reconciling"]


def test_when_all_is_well_neither_stands_there() -> None:
    conditions = after({"type": "Stalled", "status": "True", "reason": "X", "lastTransitionTime": NOW.isoformat()})
    conditions.progress(None)
    assert conditions.manifest() == []


def test_what_the_same_commit_may_bring_is_waited_for_and_then_stalled() -> None:
    problem = Problem("CredentialsMissing", "…", Mend.ARRIVE)
    first = after()
    first.progress(problem)
    (waiting,) = first.manifest()
    assert waiting["type"] == "Reconciling"
    soon = after(waiting, minutes=0.4)
    soon.progress(problem)
    assert soon.of(ConditionType.RECONCILING) is not None
    late = after(waiting, minutes=0.6)
    late.progress(problem)
    (stalled,) = late.manifest()
    assert stalled["type"] == "Stalled"
    still = after(stalled, minutes=1)
    still.progress(problem)
    assert still.of(ConditionType.STALLED) is not None


def transition(before: list[Condition], problem: Problem | None, status: str = "False") -> str | None:
    conditions = Conditions(before, 1, NOW)
    if problem is None:
        conditions.set(ConditionType.READY, "True", "Connected")
    else:
        conditions.set(ConditionType.READY, "False", problem.reason, problem.message)
    conditions.progress(problem)
    event = conditions.transition()
    return None if event is None else f"{event.type} {event.reason}"


def stalled(reason: str) -> list[Condition]:
    conditions = Conditions([], 1, NOW)
    conditions.set(ConditionType.READY, "False", reason)
    conditions.progress(Problem(reason, "…"))
    return [it for kind in ConditionType if (it := conditions.of(kind)) is not None]


def test_an_event_is_told_once_for_each_state_that_is_worth_it() -> None:
    wait, person = Problem("Deploying", "…", Mend.WAIT), Problem("NumberNotFound", "…")
    assert transition([], wait) is None
    assert transition([], person) == "Warning NumberNotFound"
    assert transition([], None) == "Normal Connected"
    assert transition([ready()], None) is None
    assert transition([ready()], wait) == "Warning Deploying"
    assert transition([ready()], person) == "Warning NumberNotFound"
    assert transition(stalled("NumberNotFound"), person) is None
    assert transition(stalled("NumberNotFound"), None) == "Normal Connected"
    assert transition(stalled("NumberNotFound"), wait) is None
    assert transition(stalled("NumberConflict"), person) == "Warning NumberNotFound"
