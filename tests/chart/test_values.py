"""A value that is misspelled or wrong is refused with its name; what is allowed is documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.chart.rendering import CASES, CHART, chart, helm, pod_specs, render

from switchboard.cli.chart import documented


def _refusal(values: dict[str, Any]) -> str:
    with pytest.raises(helm.HelmError) as refused:
        chart().render(values, name="s", namespace="n")
    return str(refused.value)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"publicUrl": "https://a.example.com"}, "publicUrl"),
        ({"publicURL": "agents.example.com"}, "publicURL"),
        ({"route": {"kind": "ingress"}}, "route/kind"),
        ({"route": {"kind": "HTTPRoute"}}, "route/gateway/name"),
        ({"route": {"gatway": {}}}, "gatway"),
        ({"namespaces": "acme"}, "namespaces"),
        ({"namespaces": ["Acme"]}, "namespaces/0"),
        ({"image": {"digest": "0123"}}, "image/digest"),
        ({"operator": {"replicas": "2"}}, "operator/replicas"),
        ({"operator": {"logLevel": "debug"}}, "operator/logLevel"),
        ({"operator": {"runAsUser": 0}}, "operator/runAsUser"),
        ({"operator": {"resources": {"limit": {}}}}, "limit"),
        ({"operator": {"extraEnv": [{"name": "A", "valeu": "b"}]}}, "valeu"),
        ({"operator": {"progressSeconds": 10**9}}, "operator/progressSeconds"),
        ({"operator": {"podLabels": {"app.kubernetes.io/name": "x"}}}, "operator/podLabels/app.kubernetes.io"),
        ({"operator": {"podLabels": {"team": "a b"}}}, "operator/podLabels/team"),
        ({"metrics": {"dashboard": {"labels": {"helm.sh/chart": "x"}}}}, "metrics/dashboard/labels/helm.sh~1chart"),
        ({"webhook": {"environment": {"SWITCHBOARD_HOST": "0.0.0.0"}}}, "webhook/environment/SWITCHBOARD_HOST"),
        ({"publicURL": "https://user:pw@agents.example.com"}, "publicURL"),
        ({"publicURL": "https://agents.example.com/a?b"}, "publicURL"),
        ({"publicURL": "https://t\u00ebst.example.com"}, "publicURL"),
        ({"webhook": {"environment": {"DEBUG": True}}}, "webhook/environment/DEBUG"),
        ({"conversationLog": {"backend": "Sqlite"}}, "conversationLog/backend"),
        ({"crds": {"enabled": "false"}}, "crds/enabled"),
        ({"release": {"timeoutSeconds": 5}}, "release/timeoutSeconds"),
        ({"networkPolicy": {"apiServerPorts": [0]}}, "networkPolicy/apiServerPorts/0"),
        ({"admissionPolicy": {"deciders": ["alice"]}}, "admissionPolicy/deciders/0"),
        ({"metrics": {"serviceMonitor": {"interval": 30}}}, "metrics/serviceMonitor/interval"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(values: dict[str, Any], named: str) -> None:
    assert named in _refusal(values)


@pytest.mark.parametrize("case", CASES)
def test_a_variable_that_a_value_sets_is_not_set_once_more(case: str) -> None:
    pods = pod_specs(render(CASES[case])).values()
    names = {variable["name"] for pod in pods for it in pod["containers"] for variable in it["env"]}
    extra = {it["name"] for it in CASES[case].get("operator", {}).get("extraEnv", [])}
    assert len(names) > 5
    for name in names - extra:
        assert "operator/extraEnv/0/name" in _refusal({"operator": {"extraEnv": [{"name": name, "value": "x"}]}})


def _objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if schema.get("type") == "object":
        yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from _objects(_resolved(inner), f"{path}.{name}" if path else name)
    if isinstance(schema.get("items"), dict):
        yield from _objects(_resolved(schema["items"]), f"{path}[]")


def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    return found


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = _schema()["definitions"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def test_every_object_of_the_schema_refuses_what_it_does_not_know() -> None:
    kubernetes = {  # objects of Kubernetes' own, which the API server checks
        "global",
        "operator.extraEnv[].valueFrom",
        "operator.affinity.nodeAffinity",
        "operator.affinity.podAffinity",
        "operator.affinity.podAntiAffinity",
        "operator.topologySpreadConstraints[]",
        "networkPolicy.metricsFrom[]",
        "networkPolicy.extraEgress[]",
        "networkPolicy.webhooks.from[]",
        "networkPolicy.webhooks.databaseTo[]",
        "networkPolicy.webhooks.extraEgress[]",
    }
    open_ = {path for path, schema in _objects(_schema()) if schema.get("additionalProperties", True) is True}
    assert open_ == kubernetes


def _leaves(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Values that are not mere groups of others."""
    known = _resolved(schema).get("properties")
    if not isinstance(value, dict) or known is None or path == "operator.resources":
        yield path
        return
    assert set(value) == set(known) - {"global"}, f"values.yaml and the schema differ below {path or 'the top'}"
    for name, inner in value.items():
        if not (path == "operator" and name == "affinity"):
            yield from _leaves(inner, known[name], f"{path}.{name}" if path else name)


def test_values_schema_and_reference_name_the_same() -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    leaves = set(_leaves(yaml.safe_load(text), _schema(), ""))
    assert leaves | {"operator.affinity"} == {value.path for value in documented(text)}
    assert len(leaves) > 50


def test_a_value_without_a_comment_is_not_generated() -> None:
    from switchboard.cli.chart import UndocumentedValue

    with pytest.raises(UndocumentedValue, match=r"image\.tag"):
        documented('image:\n  # -- Where.\n  repository: x\n  tag: ""\n')


def test_helm_finds_nothing_to_complain_of() -> None:
    report = helm.lint(CHART, strict=True)
    worst = [it for it in report["messages"] if it["severity"] > 1]
    assert not worst
    assert not report["errors"]


HARMLESS = {
    "imagePullSecrets",
    *(
        f"operator.{it}"
        for it in ("extraEnv", "podLabels", "podAnnotations", "nodeSelector", "tolerations", "affinity")
    ),
    *(f"operator.{it}" for it in ("topologySpreadConstraints", "resources.requests", "resources.limits", "runAsUser")),
    "serviceAccount.annotations",
    *(f"networkPolicy.{it}" for it in ("apiServerCIDRs", "metricsFrom", "extraEgress")),
    *(f"networkPolicy.webhooks.{it}" for it in ("namespaces", "from", "databasePorts", "databaseTo", "extraEgress")),
    *(f"metrics.{it}.labels" for it in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboard")),
}
"""Values that may be left blank in a file: none are then meant."""


def _blanked(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        inner = f"{path}.{name}" if path else name
        yield inner, value
        if isinstance(value, dict) and inner != "operator.resources" and name != "labels":
            yield from _blanked(value, inner)


def _nested(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {key: _merged(one[key], other[key]) for key in one.keys() & other.keys() if isinstance(one[key], dict)}
    return {**one, **other, **both}


def test_a_value_that_is_left_blank_is_refused_by_its_name_where_a_default_would_be_lost() -> None:
    """A key without a value is null, and Helm takes what is null out of the defaults."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    paths = [
        path for path, value in _blanked(defaults) if value != "" and path not in {*HARMLESS, "operator.resources"}
    ]
    assert len(paths) > 50
    for path in paths:
        assert f"missing property '{path.rpartition('.')[2]}'" in _refusal(_nested(path, None))


def test_what_may_be_left_blank_is_none() -> None:
    switched_on = {"metrics": {kind: {"enabled": True} for kind in ("serviceMonitor", "podMonitor", "prometheusRule")}}
    switched_on["networkPolicy"] = {"enabled": True}
    blank = empty = switched_on
    defaults = dict(_blanked(yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))))
    for path in HARMLESS - {"operator.runAsUser", "operator.resources.requests", "operator.resources.limits"}:
        blank = _merged(blank, _nested(path, None))
        empty = _merged(empty, _nested(path, type(defaults[path])()))
    assert render(blank) == render(empty)
