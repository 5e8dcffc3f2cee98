"""Which revision serves, which runs, which is kept."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.api.agent import AgentTemplate
from switchboard.reconcile.outcome import Mend, Problem
from switchboard.reconcile.revisions import Known, Plan, Workload, content_hash, plan, revision_name, same_content

from .samples import NOW, revision, script, template

READY = Workload(True, 2, 2)
STARTING = Workload(False, 0, 2)


def decide(known: Known, wanted: AgentTemplate | None, **options: Any) -> Plan:
    return plan(known, wanted, **{"pin": None, "limit": 10, "now": NOW, "drain_seconds": 600, **options})


def known(*revisions: Any, live: str | None = None, taken: Any = None, **workloads: Workload) -> Known:
    byname = {it.metadata.name: it for it in revisions}
    return Known(
        "support", byname, taken or {}, frozenset(), {f"support-{key}": it for key, it in workloads.items()}, live
    )


def test_the_first_template_makes_a_revision_of_the_name_that_the_commit_gives() -> None:
    assert decide(known(), template(name="v1")).create == "support-v1"


def test_without_a_name_the_content_names_it() -> None:
    made = decide(known(), template()).create
    assert made == f"support-{content_hash(template())}"
    assert len(content_hash(template())) == 10


def test_the_hash_does_not_see_defaults_that_are_written_out() -> None:
    spelled = AgentTemplate.model_validate({**script(), "turn": {"maxAttempts": 3}, "webhook": {"replicas": 2}})
    assert content_hash(spelled) == content_hash(template())
    assert same_content(spelled, template())


def test_the_hash_does_not_see_the_order_of_keys() -> None:
    one = AgentTemplate.model_validate({"turn": {"maxAttempts": 5}, **script()})
    other = AgentTemplate.model_validate({**script(), "turn": {"maxAttempts": 5}})
    assert content_hash(one) == content_hash(other)


@given(st.text(min_size=1, max_size=50), st.text(min_size=1, max_size=50))
def test_different_content_has_different_names(one: str, other: str) -> None:
    assert (content_hash(template(one)) == content_hash(template(other))) == (one == other)


def test_the_name_of_a_known_template_never_changes() -> None:
    assert revision_name("support", template()) == "support-a1007b3b29"


def test_an_equal_template_finds_its_revision_again() -> None:
    old = revision("support-v1", **script("one"))
    result = decide(known(old, v1=READY, live="support-v1"), template("one"))
    assert (result.create, result.desired, result.live) == (None, "support-v1", "support-v1")


def test_an_equal_template_with_another_name_is_made_because_the_commit_may_pin_it() -> None:
    old = revision("support-v1", **script("one"))
    assert decide(known(old), template("one", name="v2")).create == "support-v2"


def test_a_default_that_a_new_version_adds_makes_no_new_revision() -> None:
    stored = revision("support-v1", engine={"script": {"fallback": "one"}})  # as an older version stored it
    result = decide(known(stored, v1=READY, live="support-v1"), template("one", name="v1", turn={}, webhook={}))
    assert (result.create, result.problem) == (None, None)


def test_a_name_with_other_content_is_taken() -> None:
    old = revision("support-v1", **script("one"))
    result = decide(known(old, v1=READY, live="support-v1"), template("two", name="v1"))
    assert result.problem is not None
    assert result.problem.reason == "RevisionNameTaken"
    assert (result.create, result.live) == (None, "support-v1")


def test_a_name_of_another_agents_revision_is_taken() -> None:
    result = decide(known(taken={"support-v1": "belongs to the Agent other"}), template(name="v1"))
    assert result.problem is not None
    assert "the Agent other" in result.problem.message
    assert result.create is None


def ending(*revisions: Any, **workloads: Workload) -> Known:
    """`support-v2` is saved as the template is, and is being deleted."""
    return dataclasses.replace(known(*revisions, **workloads), ending=frozenset({"support-v2"}), saved_as="support-v2")


def test_a_revision_that_is_being_deleted_is_waited_for_and_no_older_one_takes_its_place() -> None:
    one = revision("support-v1", **script("one"))
    result = decide(ending(one, v1=READY), template("two", name="v2"))
    assert (result.create, result.desired, result.live) == (None, None, None)
    assert result.problem is not None
    assert (result.problem.reason, result.problem.mend) == ("Deploying", Mend.WAIT)


def test_a_pin_to_a_revision_that_is_being_deleted_says_so() -> None:
    one = revision("support-v1", **script("one"))
    result = decide(ending(one, v1=READY), template("one", name="v1"), pin="support-v2")
    assert result.problem is not None
    assert "support-v2, which is being deleted; support-v1 goes on serving" in result.problem.message


def test_the_old_one_serves_until_the_new_one_is_available() -> None:
    one, two = revision("support-v1", **script("one")), revision("support-v2", age=1, **script("two"))
    waiting = decide(known(one, two, v1=READY, v2=STARTING, live="support-v1"), template("two", name="v2"))
    assert (waiting.live, waiting.run, waiting.stop) == ("support-v1", ("support-v1", "support-v2"), ())
    ready = decide(known(one, two, v1=READY, v2=READY, live="support-v1"), template("two", name="v2"))
    assert ready.live == "support-v2"


def test_while_nothing_is_live_another_one_that_is_ready_serves_until_the_wanted_one_does() -> None:
    one, two = revision("support-v1", **script("one")), revision("support-v2", age=1, **script("two"))
    result = decide(known(one, two, v1=READY, v2=STARTING), template("two", name="v2"))
    assert (result.desired, result.live, result.run) == ("support-v2", "support-v1", ("support-v1", "support-v2"))
    assert decide(known(one, two, v1=STARTING, v2=STARTING), template("two", name="v2")).live is None


def test_what_is_yet_to_be_saved_is_not_run() -> None:
    one = revision("support-v1", **script("one"))
    result = decide(known(one, v1=READY, live="support-v1"), template("two", name="v2"))
    assert (result.create, result.desired, result.run) == ("support-v2", "support-v2", ("support-v1",))


def test_a_missing_pin_leaves_the_live_one() -> None:
    one = revision("support-v1", **script("one"))
    result = decide(known(one, v1=READY, live="support-v1"), template("one", name="v1"), pin="support-v9")
    assert result.live == "support-v1"
    assert result.problem is not None
    assert "support-v9" in result.problem.message


def test_a_missing_pin_while_nothing_is_live_lets_the_newest_ready_one_serve() -> None:
    one, two = revision("support-v1", **script("one")), revision("support-v2", age=1, **script("two"))
    result = decide(known(one, two, v1=READY, v2=STARTING), template("two", name="v2"), pin="support-v9")
    assert result.live == "support-v1"


def test_a_pin_goes_back_to_a_revision_on_standby() -> None:
    one, two = revision("support-v1", **script("one")), revision("support-v2", age=1, **script("two"))
    result = decide(known(one, two, v2=READY, live="support-v2"), template("two", name="v2"), pin="support-v1")
    assert (result.desired, result.live, result.run) == ("support-v1", "support-v2", ("support-v1", "support-v2"))


def served(name: str, working: int | None, drained_to: str = "support-v2") -> Any:
    drain = {} if working is None else {"drain": {"revision": drained_to, "working": working}}
    return revision(name, status={"promotedTime": "2026-11-22T11:00:00Z", **drain}, **script("one"))


@pytest.mark.parametrize(
    ("working", "to", "stops"),
    [(None, "support-v2", False), (3, "support-v2", False), (0, "support-v9", False), (0, "support-v2", True)],
    ids=["silent", "working", "drained to another", "drained"],
)
def test_a_superseded_revision_goes_when_it_holds_nothing(working: int | None, to: str, stops: bool) -> None:
    two = revision("support-v2", age=1, **script("two"))
    state = known(served("support-v1", working, to), two, v1=READY, v2=READY, live="support-v2")
    assert (decide(state, template("two", name="v2")).stop == ("support-v1",)) is stops


def test_a_revision_that_never_served_holds_nothing_and_goes_at_once() -> None:
    failed, two = revision("support-v1", **script("one")), revision("support-v2", age=1, **script("two"))
    result = decide(known(failed, two, v1=STARTING, v2=READY, live="support-v2"), template("two", name="v2"))
    assert result.stop == ("support-v1",)


@pytest.mark.parametrize(("minutes", "stops"), [(9, False), (11, True)])
def test_pods_that_cannot_speak_are_waited_for_only_so_long(minutes: int, stops: bool) -> None:
    silent = Workload(False, 0, 2, silent_since=NOW - timedelta(minutes=minutes))
    two = revision("support-v2", age=1, **script("two"))
    state = known(served("support-v1", 2), two, v1=silent, v2=READY, live="support-v2")
    assert (decide(state, template("two", name="v2")).stop == ("support-v1",)) is stops


def test_history_is_bounded_and_never_takes_the_live_the_pinned_or_the_working() -> None:
    many = [revision(f"support-v{index}", age=index, **script(str(index))) for index in range(8)]
    busy = revision("support-v1", age=1, status={"promotedTime": "2026-11-22T11:00:00Z"}, **script("1"))
    state = known(*many, busy, v1=READY, v3=READY, v7=STARTING, live="support-v3")
    result = decide(state, template("7", name="v7"), pin="support-v0", limit=2)
    # v0 pinned, v1 drains, v3 live, v7 the template's; of the rest the two newest stay
    assert set(result.drop) == {"support-v2", "support-v4"}


def test_what_runs_or_is_wanted_is_kept_with_no_history_at_all() -> None:
    many = [revision(f"support-v{index}", age=index, **script(str(index))) for index in range(4)]
    state = known(*many, v2=READY, v3=STARTING, live="support-v2")
    assert set(decide(state, template("3", name="v3"), limit=0).drop) == {"support-v0", "support-v1"}
    waiting = known(*many, v2=READY, live="support-v2")
    assert set(decide(waiting, template("3", name="v3"), limit=0).drop) == {"support-v0", "support-v1"}


def test_a_template_that_cannot_be_read_changes_nothing_that_runs() -> None:
    one = revision("support-v1", **script("one"))
    trouble = Problem("InstructionsMissing", "…")
    result = decide(known(one, v1=READY, live="support-v1"), None, problem=trouble)
    assert (result.live, result.problem, result.create) == ("support-v1", trouble, None)


def test_a_live_revision_that_was_deleted_is_not_live() -> None:
    two = revision("support-v2", **script("two"))
    result = decide(known(two, v2=READY, live="support-v1"), template("two", name="v2"))
    assert result.live == "support-v2"


@given(
    st.lists(st.sampled_from("abcdef"), unique=True, max_size=6),
    st.sampled_from("abcdef"),
    st.sampled_from([None, "a", "f"]),
    st.sets(st.sampled_from("abcdef")),
    st.integers(0, 3),
)
def test_whatever_is_there_the_live_one_runs_and_is_kept(
    kept: list[str], live: str, pin: str | None, ready: set[str], limit: int
) -> None:
    revisions = [revision(f"support-{key}", age=index, **script(key)) for index, key in enumerate(kept)]
    workloads = {key: READY if key in ready else STARTING for key in kept}
    state = known(*revisions, live=f"support-{live}", **workloads)
    result = decide(state, template("c", name="c"), pin=pin and f"support-{pin}", limit=limit)
    for name in (result.live, result.desired):
        assert name not in result.stop
        assert name not in result.drop
    if result.live is not None:
        assert result.live in result.run
    assert not set(result.run) & set(result.stop)
    assert not set(result.drop) & set(state.workloads)
