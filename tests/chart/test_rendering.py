"""What the chart makes of values, compared with golden manifests (`UPDATE_GOLDEN=1 make test ARGS=tests/chart`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.rendering import CASES, one, render, templates

GOLDEN = Path(__file__).parent / "golden"


def _reviewed(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest without the rules that are generated, which test_manifests compares with the code."""
    return {**manifest, "rules": "generated"} if "rules" in manifest else manifest


@pytest.mark.parametrize("case", CASES)
def test_values_give_the_manifests_that_were_looked_at(case: str) -> None:
    text = yaml.safe_dump_all(map(_reviewed, render(CASES[case])), sort_keys=False, width=120)
    path = GOLDEN / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_manifest_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_no_two_objects_have_one_name(case: str) -> None:
    objects = render(CASES[case], crds=True)
    names = [(it["kind"], it["metadata"].get("namespace"), it["metadata"]["name"]) for it in objects]
    assert len(names) == len(set(names))
    assert len(names) > 5


@pytest.mark.parametrize("case", CASES)
def test_no_container_names_a_variable_twice(case: str) -> None:
    """Helm 4 applies on the server's side, where a list's keys must be unique."""
    for it in render(CASES[case]):
        for container in it.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            names = [variable["name"] for variable in container["env"]]
            assert len(names) == len(set(names)) > 5


def test_a_digest_wins_over_the_tag() -> None:
    digest = "sha256:" + "a" * 64
    objects = render({"image": {"repository": "r.example.com/s", "tag": "1.2.3", "digest": digest}})
    assert (
        one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"] == f"r.example.com/s@{digest}"
    )


def test_a_disruption_budget_comes_with_a_second_replica() -> None:
    assert not [it for it in render() if it["kind"] == "PodDisruptionBudget"]
    assert one(render({"operator": {"replicas": 2}}), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({}, "publicURL is empty"),
        ({"publicURL": "http://agents.example.com"}, "publicURL is not https"),
        ({"publicURL": "https://agents.example.com"}, "route.ingress.tlsSecretName is empty"),
        ({"route": {"kind": "None"}}, "route.kind is None"),
        ({"conversationLog": {"backend": "Postgres"}}, "needs the Secret switchboard-postgres with the key dsn"),
        ({"crds": {"enabled": False}}, "crds.enabled is false"),
        ({"crds": {"keep": False}}, "crds.keep is false"),
        ({"release": {"enabled": False}}, "release.enabled is false"),
    ],
)
def test_the_notes_warn_of_what_is_missing(values: dict[str, object], warning: str) -> None:
    assert warning in templates(values)["NOTES.txt"]


def test_the_notes_of_a_complete_install_warn_of_nothing_and_say_what_is_next() -> None:
    notes = templates(
        {"publicURL": "https://a.example.com", "route": {"kind": "HTTPRoute", "gateway": {"name": "public"}}}
    )["NOTES.txt"]
    assert "WARNING" not in notes
    assert "kubectl apply -k examples/quickstart" in notes
