"""The values that a scale subresource counts by."""

from typing import Any

import pytest

from kubesandbox.schema.scale import scale_causes

ACCESS = "accessor error: 5 is of the type int64, expected string"
SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


@pytest.mark.parametrize(
    ("obj", "told"),
    [
        ({}, []),
        ({"spec": {"replicas": 3}, "status": {"replicas": 2, "selector": "a=b"}}, []),
        ({"spec": {"replicas": -1}}, [".spec.replicas: Invalid value: -1: should be a non-negative integer"]),
        (
            {"status": {"replicas": 2**31}},
            [".status.replicas: Invalid value: 2147483648: should be less than or equal to 2147483647"],
        ),
        (
            {"status": {"selector": 5}},
            [f'.status.selector: Invalid value: "": .status.selector {ACCESS}'],
        ),
    ],
)
def test_counts_are_counts_and_selectors_texts(obj: dict[str, Any], told: list[str]) -> None:
    assert [str(cause) for cause in scale_causes(SCALE, obj)] == told


def test_a_status_update_is_not_asked_for_the_spec() -> None:
    assert scale_causes(SCALE, {"spec": {"replicas": -1}}, status_only=True) == []


def test_without_a_scale_nothing_is_asked() -> None:
    assert scale_causes(None, {"spec": {"replicas": -1}}) == []
