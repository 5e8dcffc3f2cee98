"""What the chart makes of values, compared with golden manifests (`UPDATE_GOLDEN=1 make test ARGS=tests/chart`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.rendering import CASES, EVERYTHING, helm, one, pod_specs, render, templates

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
        ({"admissionPolicy": {"enabled": False}}, "admissionPolicy.enabled is false"),
        ({"networkPolicy": {"enabled": True}}, "networkPolicy.webhooks.namespaces is empty"),
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


NAMES = ("123", "012", "0x1f", "1e3", "yes", "no", "on", "null", "true", "2020-01-01")
"""Names of Kubernetes' that YAML takes for something else where they are not quoted."""


def renamed(node: Any, old: str, new: str) -> Any:
    """A manifest with another name in all of its texts."""
    if isinstance(node, dict):
        return {renamed(key, old, new): renamed(value, old, new) for key, value in node.items()}
    if isinstance(node, list):
        return [renamed(it, old, new) for it in node]
    return node.replace(old, new) if isinstance(node, str) else node


def named(name: str) -> list[dict[str, Any]]:
    """What the chart makes where all that may be named is named so."""
    policy = {**EVERYTHING["networkPolicy"], "webhooks": {"namespaces": [name]}}
    values = {
        **EVERYTHING,
        "fullnameOverride": "sb",
        "namespaces": [name],
        "serviceAccount": {"name": name},
        "route": {"kind": "HTTPRoute", "gateway": {"name": name, "namespace": name}},
        "image": {"repository": "r.example.com/s", "tag": name},
        "operator": {**EVERYTHING["operator"], "priorityClassName": name, "podLabels": {"a": name}},
        "networkPolicy": policy,
    }
    return render(values, release=name, namespace=name)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_looks_like_something_else_stays_a_name(name: str) -> None:
    assert named(name) == renamed(named("qqq"), "qqq", name)


def test_a_releases_name_may_have_dots() -> None:
    service = one(render(release="sms.prod"), "Service")
    assert service["metadata"]["name"] == "sms-prod-switchboard-operator"
    assert service["metadata"]["labels"]["app.kubernetes.io/instance"] == "sms.prod"


def test_a_releases_name_that_no_service_may_have_is_refused_with_the_value_that_mends_it() -> None:
    with pytest.raises(helm.HelmError, match="fullnameOverride: set it to a name that begins with a letter"):
        render(release="1password")
    assert render({"fullnameOverride": "sb"}, release="1password")


def test_large_numbers_stay_integers() -> None:
    seconds = {"progressSeconds": 2_000_000, "drainSeconds": 12_345_678, "releaseSeconds": 1_000_000}
    pods = pod_specs(render({"operator": seconds, "release": {"timeoutSeconds": 86_400}}))
    told = {it["name"]: it.get("value") for it in pods["Deployment/switchboard-operator"]["containers"][0]["env"]}
    assert told["SWITCHBOARD_PROGRESS_SECONDS"] == "2000000"
    assert told["SWITCHBOARD_DRAIN_SECONDS"] == "12345678"
    assert told["SWITCHBOARD_RELEASE_SECONDS"] == "1000000"


def test_an_annotation_of_ones_own_wins_over_ours() -> None:
    values = {"operator": {"podAnnotations": {"kubectl.kubernetes.io/default-container": "proxy", "team": "a"}}}
    found = one(render(values), "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert found == values["operator"]["podAnnotations"]
