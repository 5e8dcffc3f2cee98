"""Who may write to an agent: deny, then allow, then approved, then pending; what cannot be decided is refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from switchboard.api.access import Decision
from switchboard.api.connector import Access


class Verdict(Enum):
    """What becomes of a message for who sent it."""

    ADMIT = auto()
    """Answer it."""
    HOLD = auto()
    """Keep it until a person decides."""
    REFUSE = auto()
    """Do not answer it."""


@dataclass(frozen=True, slots=True)
class Door:
    """A connector's policy, in the form that a decision takes."""

    policy: Literal["Open", "Onboarding", "AllowList"]
    allow: frozenset[str]
    deny: frozenset[str]

    @classmethod
    def of(cls, access: Access) -> Door:
        """The policy of a manifest."""
        return cls(access.policy, frozenset(access.allow), frozenset(access.deny))

    def decide(self, contact: str, decision: Decision | None) -> Verdict:
        """The verdict on `contact`, whose AccessRequest says `decision` (None: there is none).

        An allow list that nobody needs, with policy Open, is what is left when somebody removes the policy: it still
        keeps the others out. An approval counts with policy Onboarding only, so that it never walks past an allow list.
        """
        if contact in self.deny:
            return Verdict.REFUSE
        if contact in self.allow:
            return Verdict.ADMIT
        if decision == "Rejected" or (self.policy == "Open" and self.allow):
            return Verdict.REFUSE
        return self._stranger(decision)

    def _stranger(self, decision: Decision | None) -> Verdict:
        if self.policy == "Open":
            return Verdict.ADMIT
        if self.policy == "Onboarding":
            return Verdict.ADMIT if decision == "Approved" else Verdict.HOLD
        return Verdict.REFUSE
