"""deny > allow > approved > pending, and what cannot be decided is refused."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.api.access import Decision
from switchboard.api.connector import Access
from switchboard.webhook.access import Door, Verdict

ANN, BOB = "+15005550001", "+15005550002"
DECISIONS: list[Decision | None] = [None, *get_args(Decision)]


def door(policy: str, *, allow: list[str] | None = None, deny: list[str] | None = None) -> Door:
    return Door.of(Access.model_validate({"policy": policy, "allow": allow or [], "deny": deny or []}))


@pytest.mark.parametrize(
    ("policy", "decision", "verdict"),
    [
        ("Open", None, Verdict.ADMIT),
        ("Open", "Pending", Verdict.ADMIT),
        ("Open", "Approved", Verdict.ADMIT),
        ("Open", "Rejected", Verdict.REFUSE),
        ("Onboarding", None, Verdict.HOLD),
        ("Onboarding", "Pending", Verdict.HOLD),
        ("Onboarding", "Approved", Verdict.ADMIT),
        ("Onboarding", "Rejected", Verdict.REFUSE),
        ("AllowList", None, Verdict.REFUSE),
        ("AllowList", "Pending", Verdict.REFUSE),
        ("AllowList", "Approved", Verdict.REFUSE),
        ("AllowList", "Rejected", Verdict.REFUSE),
    ],
)
def test_a_policy_decides_with_what_a_person_decided(policy: str, decision: Decision | None, verdict: Verdict) -> None:
    assert door(policy).decide(ANN, decision) is verdict


@pytest.mark.parametrize("policy", ["Open", "Onboarding", "AllowList"])
@pytest.mark.parametrize("decision", DECISIONS)
def test_the_deny_list_comes_before_all_else(policy: str, decision: Decision | None) -> None:
    assert door(policy, allow=[ANN], deny=[ANN]).decide(ANN, decision) is Verdict.REFUSE


@pytest.mark.parametrize("policy", ["Open", "Onboarding", "AllowList"])
@pytest.mark.parametrize("decision", DECISIONS)
def test_the_allow_list_comes_before_a_rejection(policy: str, decision: Decision | None) -> None:
    assert door(policy, allow=[ANN]).decide(ANN, decision) is Verdict.ADMIT


@given(allow=st.sets(st.sampled_from([BOB, "+15005550003"]), min_size=1), decision=st.sampled_from(DECISIONS))
def test_removing_the_policy_from_an_allow_list_lets_nobody_else_in(allow: set[str], decision: Decision | None) -> None:
    closed, defaulted = door("AllowList", allow=sorted(allow)), door("Open", allow=sorted(allow))
    assert closed.decide(ANN, decision) is defaulted.decide(ANN, decision) is Verdict.REFUSE


def test_removing_a_request_shuts_the_door_again() -> None:
    assert door("Onboarding").decide(ANN, "Approved") is Verdict.ADMIT
    assert door("Onboarding").decide(ANN, None) is Verdict.HOLD
