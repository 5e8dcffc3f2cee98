"""Whether an object is as wanted: what the API server adds does not count, all else does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.reconcile.compare import as_wanted, stamped

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)

EQUAL = [("1k", "1000"), ("1M", "1000k"), ("1G", "1000M"), ("1T", "1000G"), ("1Mi", "1024Ki"), ("1Ti", "1024Gi")]
UNEQUAL = [("1k", "1Ki"), ("1M", "1Mi"), ("1G", "1Gi"), ("1T", "1Ti")]


@pytest.mark.parametrize(
    ("wanted", "observed", "same"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {}, False),
        ({"a": {}}, {}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": [{"x": 1}]}, {"a": [{"x": 1, "y": 2}]}, True),
        ({"a": True}, {"a": 1}, False),
        ({"limits": {"memory": "1024Mi"}}, {"limits": {"memory": "1Gi"}}, True),
        ({"limits": {"cpu": "1000m"}}, {"limits": {"cpu": "1"}}, True),
        ({"limits": {"cpu": "100m"}}, {"limits": {"cpu": "1"}}, False),
        ({"limits": {"cpu": "nonsense"}}, {"limits": {"cpu": "other"}}, False),
        *(({"limits": {"x": one}}, {"limits": {"x": other}}, True) for one, other in EQUAL),
        *(({"limits": {"x": one}}, {"limits": {"x": other}}, False) for one, other in UNEQUAL),
        ({"data": {"memory": "1024Mi"}}, {"data": {"memory": "1Gi"}}, False),
    ],
)
def test_defaults_do_not_count_and_differences_do(wanted: Any, observed: Any, same: bool) -> None:
    assert as_wanted(wanted, observed) is same


@given(JSON)
def test_everything_is_as_itself(value: Any) -> None:
    assert as_wanted(value, value)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.text(min_size=4), JSON)
def test_what_is_added_never_counts(value: dict[str, Any], key: str, added: Any) -> None:
    assert as_wanted(value, {**value, key: added})


def test_a_field_that_is_no_longer_wanted_shows_in_the_stamp() -> None:
    before = stamped({"metadata": {"name": "x"}, "spec": {"a": 1, "b": 2}})
    after = stamped({"metadata": {"name": "x"}, "spec": {"a": 1}})
    assert as_wanted({"spec": {"a": 1}}, before)
    assert not as_wanted(after, before)
