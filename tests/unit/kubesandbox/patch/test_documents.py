"""JSON patches and merge patches."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubesandbox.patch.documents import (
    MalformedPatchError,
    PatchFailedError,
    PatchTooLargeError,
    json_patch,
    merge_patch,
)

plain = st.recursive(
    st.booleans() | st.integers(0, 3) | st.text(max_size=2),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), below, max_size=3),
    max_leaves=10,
)
with_nulls = st.recursive(
    st.none() | st.integers(0, 3),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from(["a", "b", "c"]), below, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("obj", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_does_what_rfc_7386_shows(obj: Any, patch: Any, result: Any) -> None:
    assert merge_patch(obj, patch) == result


@given(plain, with_nulls)
def test_a_merge_patch_twice_is_once_and_leaves_its_object(obj: Any, patch: Any) -> None:
    before = copy.deepcopy(obj)
    once = merge_patch(obj, patch)
    assert merge_patch(once, patch) == once
    assert obj == before


@given(plain)
def test_an_empty_merge_patch_changes_no_object(obj: Any) -> None:
    if isinstance(obj, dict):
        assert merge_patch(obj, {}) == obj


@given(st.dictionaries(st.sampled_from(["a", "b"]), plain))
def test_a_merge_patch_onto_nothing_is_itself(patch: dict[str, Any]) -> None:
    assert merge_patch({}, patch) == patch


def test_json_patch_does_its_operations_in_order_on_a_copy() -> None:
    obj = {"a": {"b": 1}, "l": [1, 2]}
    ops = [
        {"op": "test", "path": "/a/b", "value": 1},
        {"op": "add", "path": "/a/c", "value": {"d": 2}},
        {"op": "copy", "from": "/a/c", "path": "/e"},
        {"op": "move", "from": "/a/b", "path": "/f"},
        {"op": "remove", "path": "/l/0"},
        {"op": "add", "path": "/l/-", "value": 3},
        {"op": "replace", "path": "/e/d", "value": 4},
    ]
    assert json_patch(obj, ops) == {"a": {"c": {"d": 2}}, "e": {"d": 4}, "f": 1, "l": [2, 3]}
    assert obj == {"a": {"b": 1}, "l": [1, 2]}
    assert json_patch({}, [{"op": "add", "path": "/a"}]) == {"a": None}


@pytest.mark.parametrize(
    ("op", "said"),
    [
        ({"op": "test", "path": "/a", "value": 2}, "testing value /a failed"),
        ({"op": "test", "path": "/a", "value": True}, "testing value /a failed"),
        ({"op": "remove", "path": "/z"}, "remove operation does not apply: doc is missing path: /z"),
        ({"op": "replace", "path": "/z/y", "value": 1}, "replace operation does not apply: doc is missing key: /z/y"),
        ({"op": "add", "path": "/z/y", "value": 1}, "add operation does not apply: doc is missing path: /z/y"),
        ({"op": "dance", "path": "/a"}, "Unexpected kind: dance"),
        ({"op": "add"}, "member"),
    ],
)
def test_a_json_patch_that_does_not_apply_says_which_operation(op: dict[str, Any], said: str) -> None:
    with pytest.raises(PatchFailedError) as raised:
        json_patch({"a": 1}, [op])
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("op", "made"),
    [
        ({"op": "replace", "path": "/z", "value": 1}, {"a": 1, "z": 1}),
        ({"op": "copy", "from": "/z", "path": "/y"}, {"a": 1, "y": None}),
    ],
)
def test_a_member_that_is_not_there_is_replaced_and_copied_as_json_patch_v4_does(
    op: dict[str, Any], made: dict[str, Any]
) -> None:
    assert json_patch({"a": 1}, [op]) == made


def test_what_is_no_list_of_operations_is_malformed_and_too_many_are_too_large() -> None:
    with pytest.raises(MalformedPatchError):
        json_patch({}, {"op": "add"})
    with pytest.raises(PatchTooLargeError):
        json_patch({}, [{"op": "test", "path": "", "value": {}}] * 10_001)
