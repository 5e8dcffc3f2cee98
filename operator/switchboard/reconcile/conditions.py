"""metav1 conditions: `lastTransitionTime` moves only when the status does, and transitions become Events.

`Reconciling` and `Stalled` stand there only while true, as kstatus reads them:
https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from switchboard.api.meta import Condition
from switchboard.api.reasons import ConditionType
from switchboard.reconcile.outcome import Event, Mend, Problem

Json = dict[str, object]
Status = Literal["True", "False", "Unknown"]

ARRIVAL = timedelta(seconds=30)
"""How long what the same commit may bring is waited for before the object counts as stalled."""


class Conditions:
    """An object's conditions, from those that it has to those that it should have."""

    def __init__(self, observed: Sequence[Condition], generation: int, now: datetime) -> None:
        self._observed = {condition.type: condition for condition in observed}
        self._wanted: dict[str, Condition] = {}
        self._generation = generation
        self._now = now.replace(microsecond=0)

    def set(self, kind: ConditionType, status: Status, reason: str, message: str = "") -> None:
        """Wants a condition."""
        old = self._observed.get(kind)
        since = old.last_transition_time if old is not None and old.status == status else self._now
        self._wanted[kind] = Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message,
            observed_generation=self._generation,
            last_transition_time=since,
        )

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

    def of(self, kind: ConditionType) -> Condition | None:
        """What is wanted of one."""
        return self._wanted.get(kind)

    def before(self, kind: ConditionType) -> Condition | None:
        """What was observed of one."""
        return self._observed.get(kind)

    def changed(self, kind: ConditionType) -> bool:
        """Whether status or reason differ from what was observed."""
        old, new = self._observed.get(kind), self._wanted.get(kind)
        return (old and (old.status, old.reason)) != (new and (new.status, new.reason))

    def transition(self, kind: ConditionType) -> Event | None:
        """The Event of a condition whose status or reason changed. Beginnings are not told: everything begins."""
        new = self._wanted.get(kind)
        if new is None or new.status == "Unknown" or not self.changed(kind):
            return None
        return Event(new.reason, new.message, "Normal" if new.status == "True" else "Warning")

    def manifest(self) -> list[Json]:
        """The conditions as they stand in a status, in a fixed order."""
        return [condition.manifest() for _, condition in sorted(self._wanted.items())]


def timestamp(time: datetime) -> str:
    """A metav1.Time: UTC, whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
