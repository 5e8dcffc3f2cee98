"""What the chart and the operator make is valid, safe and what the code says."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase
from tests.chart import made, restricted
from tests.chart.rendering import CASES, CHART, ROOT, one, pod_specs, render

from switchboard.api import crd
from switchboard.controller import metrics as operator_metrics
from switchboard.reconcile import permissions
from switchboard.settings import OperatorSettings
from switchboard.webhook import metrics as webhook_metrics

MINORS = ("1.35", "1.36", "1.37")
NOT_KUBERNETES = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "HTTPRoute"}


def _checked(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each once: the validator reads its schemas anew for every object."""
    different = {json.dumps(it, sort_keys=True): it for it in objects}
    return (it for it in different.values() if it["kind"] not in NOT_KUBERNETES)


@pytest.mark.parametrize("minor", MINORS)
def test_every_manifest_is_valid_in_the_newest_kubernetes(minor: str) -> None:
    import kubernetes_validate

    objects = [it for values in CASES.values() for it in render(values)] + render(crds=True) + made.objects()
    kinds = set()
    for it in _checked(objects):
        kubernetes_validate.validate(it, minor, strict=True)
        kinds.add(it["kind"])
    assert {"Deployment", "CustomResourceDefinition", "ValidatingAdmissionPolicy", "HorizontalPodAutoscaler"} <= kinds


def test_the_validator_refuses_what_is_wrong() -> None:
    import kubernetes_validate

    deployment = one(render(), "Deployment")
    deployment["spec"]["replicaz"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, MINORS[0], strict=True)


@pytest.mark.parametrize("case", CASES)
def test_every_pod_of_the_chart_is_restricted(case: str) -> None:
    specs = pod_specs(render(CASES[case]))
    assert specs
    assert {name: restricted.violations(spec) for name, spec in specs.items()} == {name: [] for name in specs}


def test_every_pod_that_the_operator_makes_is_restricted() -> None:
    golden = ROOT / "tests" / "unit" / "reconcile" / "golden"
    documents = [it for path in sorted(golden.rglob("*.yaml")) for it in yaml.safe_load_all(path.read_text("utf-8"))]
    flat = [it for document in documents for it in (document if isinstance(document, list) else [document])]
    objects = [
        *made.objects(),
        *(it for it in flat if isinstance(it, dict) and {"kind", "spec", "metadata"} <= set(it)),
    ]
    specs = pod_specs(objects)
    assert specs
    assert {name: restricted.violations(spec) for name, spec in specs.items()} == {name: [] for name in specs}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("hostNetwork",), True),
        (("securityContext", "runAsNonRoot"), False),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True),
        (("containers", 0, "securityContext", "capabilities"), {"drop": ["NET_RAW"]}),
        (("containers", 0, "securityContext", "privileged"), True),
        (("volumes", 0), {"name": "host", "hostPath": {"path": "/"}}),
    ],
)
def test_the_check_of_pods_sees_each_violation(path: tuple[str | int, ...], value: object) -> None:
    spec = pod_specs(render())["Deployment/switchboard-operator"]
    *parents, last = path
    target: Any = spec
    for part in parents:
        target = target[part]
    target[last] = value
    assert restricted.violations(spec)


def test_every_root_file_system_is_read_only() -> None:
    for spec in pod_specs([*render(), *made.objects()]).values():
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_charts_crds_are_the_generated_ones() -> None:
    generated = dict(crd.manifests())
    assert {path.name: path.read_text("utf-8") for path in (CHART / "files" / "crds").iterdir()} == generated
    rendered = {it["metadata"]["name"]: it for it in render(crds=True) if it["kind"] == "CustomResourceDefinition"}
    assert len(rendered) == len(crd.KINDS)
    for kind in crd.KINDS:
        wanted = crd.definition(kind)
        assert rendered[wanted["metadata"]["name"]]["spec"] == yaml.safe_load(json.dumps(wanted["spec"]))


def test_crds_are_kept_at_an_uninstall_unless_that_is_not_wanted() -> None:
    def policies(values: dict[str, Any]) -> set[str | None]:
        found = [it for it in render(values, crds=True) if it["kind"] == "CustomResourceDefinition"]
        return {it["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for it in found}

    assert policies({}) == {"keep"}
    assert policies({"crds": {"keep": False}}) == {None}
    assert policies({"crds": {"enabled": False}}) == set()


@pytest.mark.parametrize("route", ["Ingress", "HTTPRoute", "None"])
def test_the_operators_rights_are_those_that_the_code_asks_for(route: Any) -> None:
    wanted = permissions.operator_rules(route=route, webhook_role="switchboard-webhook")
    values = {"route": {"kind": route, "gateway": {"name": "public"}}}
    everywhere = one(render(values), "ClusterRole", "switchboard-operator")["rules"]
    assert everywhere == [*permissions.finalizer_rules(), *wanted]
    objects = render({**values, "namespaces": ["acme"]})
    assert one(objects, "Role", "switchboard-operator")["rules"] == wanted
    assert one(objects, "ClusterRole", "switchboard-operator")["rules"] == permissions.finalizer_rules()


def test_the_other_rights_are_those_that_the_code_asks_for() -> None:
    objects = render()
    lease = permissions.lease_rules("switchboard-operator")
    assert one(objects, "ClusterRole", "switchboard-webhook")["rules"] == permissions.webhook_rules()
    assert one(objects, "Role", "switchboard-operator-lease")["rules"] == lease
    assert one(objects, "ClusterRole", "switchboard-release")["rules"] == permissions.release_rules()
    for role in ("view", "edit", "reader", "approver"):
        assert one(objects, "ClusterRole", f"switchboard-{role}")["rules"] == getattr(permissions, f"{role}_rules")()
    in_acme = one(render({"namespaces": ["acme"]}), "Role", "switchboard-release")
    assert in_acme["rules"] == permissions.release_rules()
    stop = [*permissions.stop_rules("switchboard-operator"), *lease]
    assert one(objects, "Role", "switchboard-release-stop")["rules"] == stop


def test_no_role_holds_a_wildcard() -> None:
    rules = [
        rule
        for values in CASES.values()
        for it in render(values)
        if it["kind"] in {"Role", "ClusterRole"}
        for rule in it["rules"]
    ]
    assert len(rules) > 50
    assert not [rule for rule in rules if "*" in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]]


def test_no_role_that_aggregates_reaches_customers_words() -> None:
    words = {"conversations", "messages", "executions", "accessrequests"}
    seen = 0
    for it in render():
        labels = it["metadata"].get("labels", {})
        if any(name.startswith("rbac.authorization.k8s.io/aggregate-to") for name in labels):
            seen += 1
            assert not words & {name for rule in it["rules"] for name in rule["resources"]}
    assert seen == 2


def test_the_webhook_reads_no_secret_and_decides_nothing() -> None:
    rules = one(render(), "ClusterRole", "switchboard-webhook")["rules"]
    allowed = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    assert not {verb for resource, verb in allowed if resource == "secrets"}
    assert not {("accessrequests", "update"), ("accessrequests", "patch")} & allowed
    assert ("accessrequests", "create") in allowed


@pytest.mark.parametrize("case", CASES)
def test_the_operator_understands_every_setting_that_it_is_given(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for spec in pod_specs(render(CASES[case])).values():
        variables = {it["name"]: it.get("value", "x") for it in spec["containers"][0]["env"]}
        ours = {name for name in variables if name.startswith("SWITCHBOARD_")}
        assert ours <= {f"SWITCHBOARD_{name.upper()}" for name in OperatorSettings.model_fields}
        for name in ours:
            monkeypatch.setenv(name, variables[name])
        settings = OperatorSettings()
        assert settings.namespaces == CASES[case].get("namespaces", [])
        assert settings.lease_name == ("sb-operator" if case == "least" else "switchboard-operator")


def test_the_policies_select_the_pods_that_the_operator_makes() -> None:
    pods = [it for it in made.objects() if it["kind"] == "Deployment"]
    labels = pods[0]["spec"]["template"]["metadata"]["labels"]
    objects = render(CASES["namespaces"])
    policy = one([it for it in objects if it["metadata"].get("namespace") == "acme"], "NetworkPolicy")
    for selector in (policy["spec"]["podSelector"], one(objects, "PodMonitor")["spec"]["selector"]):
        assert selector["matchLabels"].items() <= labels.items()


def _names(module: Any) -> Iterator[str]:
    for collector in vars(module).values():
        if isinstance(collector, MetricWrapperBase):
            for metric in collector.describe():
                suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(metric.type, [""])
                yield from (metric.name + suffix for suffix in suffixes)


@pytest.mark.parametrize("path", ["files/alerts.yaml", "files/dashboards/switchboard.json"])
def test_alerts_and_dashboard_name_only_metrics_that_exist(path: str) -> None:
    text = Path(CHART / path).read_text("utf-8")
    used = set(re.findall(r"switchboard_[a-z_]+", text))
    assert len(used) > 8
    assert used <= {*_names(operator_metrics), *_names(webhook_metrics)}


def test_the_dashboard_is_json_and_the_alerts_are_rules() -> None:
    objects = render(CASES["everything"])
    dashboard = json.loads(one(objects, "ConfigMap")["data"]["switchboard.json"])
    assert len(dashboard["panels"]) == len({panel["id"] for panel in dashboard["panels"]}) > 10
    rules = one(objects, "PrometheusRule")["spec"]["groups"][0]["rules"]
    assert all({"alert", "expr", "labels", "annotations"} <= set(rule) for rule in rules)
    assert {rule["labels"]["severity"] for rule in rules} == {"critical", "warning"}


def test_package_chart_and_image_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert chart["version"] == chart["appVersion"] == project
    assert OperatorSettings.model_fields["image"].default == f"switchboard:{project}"


def test_the_image_is_locked_to_what_the_other_locks_hold() -> None:
    def pins(name: str) -> dict[str, str]:
        lines = (ROOT / "requirements" / name).read_text("utf-8").splitlines()
        return {package: version for line in lines if "==" in line for package, _, version in [line.partition("==")]}

    runtime, image = pins("runtime.txt"), pins("image.txt")
    assert runtime.items() <= image.items()
    assert {"anthropic", "openai", "google-genai", "groq", "mistralai"} <= set(image)
    assert not {"common-expression-language", "jsonpath-ng", "pytest"} & set(image)
