"""With which Secrets all pods of a Deployment run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchboard.reconcile.workloads import ANNOTATION_SECRETS, rolled_out

VERSIONS = {"twilio": "uid/7"}
THERE = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


def deployment(*, wanted: int | None = 2, annotations: Any = None, **status: int) -> dict[str, Any]:
    noted = {ANNOTATION_SECRETS: json.dumps(VERSIONS)} if annotations is None else annotations
    spec = {} if wanted is None else {"replicas": wanted}
    return {"metadata": {"generation": 3, "annotations": noted}, "spec": spec, "status": {**THERE, **status}}


def test_all_pods_run_with_them_once_each_is_new_and_available() -> None:
    assert rolled_out(deployment()) == VERSIONS


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 2},
        {"replicas": 3},
        {"updatedReplicas": 1},
        {"availableReplicas": 1},
        {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
    ],
    ids=["not seen yet", "old ones beside", "not all new", "not all ready", "one of two"],
)
def test_until_then_it_is_not_known(status: dict[str, int]) -> None:
    assert rolled_out(deployment(**status)) == {}


def test_without_a_number_one_pod_is_wanted() -> None:
    one = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    assert rolled_out(deployment(wanted=None, **one)) == VERSIONS
    assert rolled_out(deployment(wanted=None)) == {}


@pytest.mark.parametrize(
    "annotations", [{}, {"other": "x"}, *({ANNOTATION_SECRETS: it} for it in ("", "nonsense", "[]", "3", "null"))]
)
def test_a_deployment_that_does_not_say_or_says_nonsense_has_none(annotations: dict[str, str]) -> None:
    assert rolled_out(deployment(annotations=annotations)) == {}
