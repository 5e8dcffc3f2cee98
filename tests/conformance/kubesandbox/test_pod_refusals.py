"""What is wrong with pods, in the words of kubernetes pkg/apis/core/validation/validation.go."""

from __future__ import annotations

import pytest
from tests.conformance.kubesandbox.http import Api

CONTAINERS = {
    "requests above limits": (
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "500m"}}},
        "resources.requests",
        'Invalid value: "2": must be less than or equal to cpu limit of 500m',
    ),
    "a negative request": (
        {"resources": {"requests": {"memory": "-1Mi"}}},
        "resources.requests[memory]",
        'Invalid value: "-1Mi": must be greater than or equal to 0',
    ),
    "a probe that does nothing": (
        {"livenessProbe": {"periodSeconds": 3}},
        "livenessProbe",
        "Required value: must specify a handler type",
    ),
    "a probe that does two things": (
        {"livenessProbe": {"httpGet": {"port": 80}, "tcpSocket": {"port": 80}}},
        "livenessProbe.tcpSocket",
        "Forbidden: may not specify more than 1 handler type",
    ),
    "liveness after two successes": (
        {"livenessProbe": {"httpGet": {"port": 80}, "successThreshold": 2}},
        "livenessProbe.successThreshold",
        "Invalid value: 2: must be 1",
    ),
    "a probe of no port": (
        {"readinessProbe": {"httpGet": {}}},
        "readinessProbe.httpGet.port",
        "Invalid value: 0: must be between 1 and 65535, inclusive",
    ),
    "a variable from nowhere": (
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
        "env[0].valueFrom.secretKeyRef.key",
        "Required value",
    ),
    "a variable with a value twice": (
        {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        "env[0].valueFrom",
        'Invalid value: "": may not be specified when `value` is not empty',
    ),
    "an unknown field of the pod": (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.bogus"}}}]},
        "env[0].valueFrom.fieldRef.fieldPath",
        'Invalid value: "spec.bogus": error converting fieldPath: field label not supported: spec.bogus',
    ),
    "a mount of no volume": (
        {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        "volumeMounts[0].name",
        'Not found: "v"',
    ),
    "the same host port again": (
        {"ports": [{"containerPort": 1, "hostPort": 5}, {"containerPort": 2, "hostPort": 5}]},
        "ports[1].hostPort",
        'Duplicate value: "TCP//5"',
    ),
    "privileges that are and are not": (
        {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
        "securityContext",
        (
            'Invalid value: {"allowPrivilegeEscalation":false,"privileged":true}: cannot set '
            "`allowPrivilegeEscalation` to false and `privileged` to true"
        ),
    ),
}
SPECS = {
    "a projected mode": (
        {"volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 5000}}]},
        "volumes[0].configMap.defaultMode",
        "Invalid value: 5000: must be a number between 0 and 0777 (octal), both inclusive",
    ),
    "a Secret without a name": (
        {"volumes": [{"name": "v", "secret": {}}]},
        "volumes[0].secret.secretName",
        "Required value",
    ),
    "a toleration of all by a value": (
        {"tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 3}]},
        "tolerations[0].effect",
        "Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
    ),
    "an init container with a probe": (
        {"initContainers": [{"name": "i", "image": "x", "readinessProbe": {"tcpSocket": {"port": 1}}}]},
        "initContainers[0].readinessProbe",
        "Forbidden: may not be set for init containers without restartPolicy=Always",
    ),
    "a host name": (
        {"hostname": "A_"},
        "hostname",
        (
            'Invalid value: "A_": a lowercase RFC 1123 label must consist of lower case alphanumeric characters '
            "or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "
            "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        ),
    ),
    "a deadline of a Deployment's pods": (
        {"activeDeadlineSeconds": 5},
        "activeDeadlineSeconds",
        "Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
    ),
    "a topology of nothing": (
        {"topologySpreadConstraints": [{"maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}]},
        "topologySpreadConstraints[0].topologyKey",
        "Required value: can not be empty",
    ),
}
GOOD = (
    {"resources": {"requests": {"cpu": 1, "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "0.5Gi"}}},
    {"readinessProbe": {"httpGet": {"port": "http"}, "successThreshold": 2}},
    {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}},
    {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}]},
    {"ports": [{"containerPort": 80}, {"containerPort": 80}]},
    {"securityContext": {"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}},
)


def deployment(container: dict | None = None, **spec: object) -> dict:
    containers = [{"name": "main", "image": "any", **(container or {})}]
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers, **spec}}
    return {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}


def refused(ask: Api, space: str, body: dict) -> list[dict]:
    reply = ask("POST", f"/apis/apps/v1/namespaces/{space}/deployments", body, dryRun="All")
    assert reply.status == 422, reply.body
    return reply.body["details"]["causes"]


@pytest.mark.parametrize(("container", "field", "message"), CONTAINERS.values(), ids=CONTAINERS)
def test_a_container_is_refused_for(ask: Api, space: str, container: dict, field: str, message: str) -> None:
    found = refused(ask, space, deployment(container))
    assert [(c["field"], c["message"]) for c in found] == [(f"spec.template.spec.containers[0].{field}", message)]


@pytest.mark.parametrize(("spec", "field", "message"), SPECS.values(), ids=SPECS)
def test_a_pod_is_refused_for(ask: Api, space: str, spec: dict, field: str, message: str) -> None:
    found = refused(ask, space, deployment(**spec))
    assert [(c["field"], c["message"]) for c in found] == [(f"spec.template.spec.{field}", message)]


@pytest.mark.parametrize("container", GOOD)
def test_a_good_container_is_taken(ask: Api, space: str, container: dict) -> None:
    ask.good("POST", f"/apis/apps/v1/namespaces/{space}/deployments", deployment(container), dryRun="All")


def test_a_selector_that_is_none_hides_what_is_wrong_with_the_template(ask: Api, space: str) -> None:
    # pkg/apis/apps/validation.go, ValidateDeploymentSpec: the template is looked at only with a selector.
    body = deployment({"image": ""})
    body["spec"]["selector"] = {"matchExpressions": [{"key": "a", "operator": "Near"}]}
    fields = [c["field"] for c in refused(ask, space, body)]
    assert fields == ["spec.selector.matchExpressions[0].operator", "spec.selector"]
