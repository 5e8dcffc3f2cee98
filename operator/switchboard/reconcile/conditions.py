"""metav1 conditions: `lastTransitionTime` moves only when the status does, and transitions become Events.

`Reconciling` and `Stalled` stand there only while true, as kstatus reads them:
https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from switchboard.api.meta import Condition
from switchboard.api.reasons import AgentReason, ConditionType
from switchboard.reconcile.outcome import Event, Mend, Problem

Json = dict[str, object]
Status = Literal["True", "False", "Unknown"]

ARRIVAL = timedelta(seconds=30)
"""How long what the same commit may bring is waited for before the object counts as stalled."""


@dataclass(slots=True)
class Wanted:
    """A condition as it should be."""

    type: str
    status: Status
    reason: str
    message: str
    last_transition_time: datetime


class Conditions:
    """An object's conditions, from those that it has to those that it should have."""

    def __init__(self, observed: Sequence[Condition], generation: int, now: datetime) -> None:
        self._observed = {condition.type: condition for condition in observed}
        self._wanted: dict[str, Wanted] = {}
        self._generation = generation
        self._now = now.replace(microsecond=0)

    def set(self, kind: ConditionType, status: Status, reason: str, message: str = "") -> None:
        """Wants a condition."""
        old = self._observed.get(kind)
        since = old.last_transition_time if old is not None and old.status == status else self._now
        self._wanted[kind] = Wanted(kind, status, reason, message, since)

    def keep(self, kind: ConditionType) -> None:
        """Leaves a condition as it is; `Unknown` if there is none yet."""
        old = self._observed.get(kind)
        if old is None:
            self.set(kind, "Unknown", "Checking", "Not checked yet.")
        else:
            self.set(kind, old.status, old.reason, old.message)

    def progress(self, problem: Problem | None) -> None:
        """Says by `Reconciling` and `Stalled` who ends the problem; neither stands there without one.

        What the same commit may bring counts as stalled once it has been waited for `ARRIVAL`.
        """
        if problem is None:
            return
        stalled = problem.mend is Mend.PERSON or (problem.mend is Mend.ARRIVE and self._waited())
        self.set(
            ConditionType.STALLED if stalled else ConditionType.RECONCILING, "True", problem.reason, problem.message
        )

    def _waited(self) -> bool:
        if (stalled := self._observed.get(ConditionType.STALLED)) is not None and stalled.status == "True":
            return True
        waiting = self._observed.get(ConditionType.RECONCILING)
        return waiting is not None and self._now - waiting.last_transition_time >= ARRIVAL

    def of(self, kind: ConditionType) -> Wanted | None:
        """What is wanted of one."""
        return self._wanted.get(kind)

    def before(self, kind: ConditionType) -> Condition | None:
        """What was observed of one."""
        return self._observed.get(kind)

    def transition(self) -> Event | None:
        """The Event of `Ready`, once for each state worth telling: that all is well, that it no longer is, and what a
        person must mend. What is under way by itself is not told."""
        before, after = self._told(self._observed), self._told(self._wanted)
        ready = self._wanted.get(ConditionType.READY)
        if ready is None or before == after or (after is None and before is not None and before[0] != "True"):
            return None
        return Event(ready.reason, ready.message, "Normal" if ready.status == "True" else "Warning")

    @staticmethod
    def _told(conditions: Mapping[str, Condition] | Mapping[str, Wanted]) -> tuple[str, str] | None:
        ready, stalled = conditions.get(ConditionType.READY), conditions.get(ConditionType.STALLED)
        if ready is not None and ready.status == "True":
            return "True", ready.reason
        return ("Stalled", stalled.reason) if stalled is not None else None

    def manifest(self) -> list[Json]:
        """The conditions as they stand in a status, in a fixed order."""
        # By hand: this is done for each object that is looked at, and costs a tenth of what pydantic takes.
        return [
            {
                "type": condition.type,
                "status": condition.status,
                "observedGeneration": self._generation,
                "lastTransitionTime": timestamp(condition.last_transition_time),
                "reason": condition.reason,
                "message": condition.message,
            }
            for _, condition in sorted(self._wanted.items())
        ]


def still_waits(before: Mapping[str, Any], wanted: Mapping[str, object]) -> bool:
    """Whether a status differs from what stands there only in what is waited for, and for how many."""
    if not is_reconciling(before) or not is_reconciling(wanted):
        return False
    return all(
        key in ("conditions", "connectorsReady")
        or before.get(key) == value
        or (key == "channels" and _sids(before.get(key)) == _sids(value))
        or (key == "connectors" and _present(before.get(key)) == _present(value))
        for key, value in wanted.items()
    )


def is_reconciling(status: Mapping[str, Any]) -> bool:
    """Whether a status says that something is waited for."""
    return any(it["type"] == ConditionType.RECONCILING for it in status.get("conditions") or ())


def _sids(channels: Any) -> list[tuple[object, object]]:
    return [(it.get("sid"), it.get("webhookURL")) for it in channels or ()]


def _present(connectors: Any) -> list[tuple[object, bool]]:
    """A connector may be bound once its Agent lists it as there."""
    return [(it["name"], it["status"] == AgentReason.CONNECTOR_MISSING) for it in connectors or ()]


def timestamp(time: datetime) -> str:
    """A metav1.Time: UTC, whole seconds."""
    return f"{time.isoformat()[:19]}Z"  # a quarter of what strftime takes
