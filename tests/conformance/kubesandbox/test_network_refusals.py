"""What is wrong with Services and their like (kubernetes pkg/apis/{core,networking,policy,autoscaling}/validation)."""

from __future__ import annotations

import pytest
from tests.conformance.kubesandbox.http import Api

NETWORKING = "/apis/networking.k8s.io/v1/namespaces/{}"
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
SCALED = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
POD = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "any"}]}


def service(**spec: object) -> tuple[str, dict]:
    return "/api/v1/namespaces/{}/services", {"ports": [{"port": 80}], **spec}


def ingress(host: str) -> tuple[str, dict]:
    path = {"path": "/", "pathType": "Prefix", "backend": BACKEND}
    return f"{NETWORKING}/ingresses", {"rules": [{"host": host, "http": {"paths": [path]}}]}


def policy(**spec: object) -> tuple[str, dict]:
    return f"{NETWORKING}/networkpolicies", {"podSelector": {}, **spec}


def budget(**spec: object) -> tuple[str, dict]:
    return "/apis/policy/v1/namespaces/{}/poddisruptionbudgets", spec


def autoscaler(**spec: object) -> tuple[str, dict]:
    path = "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"
    return path, {"maxReplicas": 3, "scaleTargetRef": SCALED, **spec}


def job(**spec: object) -> tuple[str, dict]:
    return "/apis/batch/v1/namespaces/{}/jobs", {"template": {"spec": POD}, **spec}


REFUSED = [
    (
        service(ports=[{"port": 80, "nodePort": 30001}]),
        "spec.ports[0].nodePort",
        "Forbidden: may not be used when `type` is 'ClusterIP'",
    ),
    (
        service(clusterIP="1.2.3.4"),
        "spec.clusterIPs",
        (
            'Invalid value: ["1.2.3.4"]: failed to allocate IP 1.2.3.4: the provided IP (1.2.3.4) is not in the valid '
            "range. The range of valid IPs is 10.96.0.0/12"
        ),
    ),
    (
        service(clusterIP="None", type="NodePort"),
        "spec.clusterIPs[0]",
        "Invalid value: \"None\": may not be set to 'None' for NodePort services",
    ),
    (
        service(externalTrafficPolicy="Local"),
        "spec.externalTrafficPolicy",
        'Invalid value: "Local": may only be set for externally-accessible services',
    ),
    (
        service(loadBalancerClass="a.b/c"),
        "spec.loadBalancerClass",
        "Forbidden: may only be used when `type` is 'LoadBalancer'",
    ),
    (
        ingress("1.2.3.4"),
        "spec.rules[0].host",
        'Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
    ),
    (policy(ingress=[{"from": [{}]}]), "spec.ingress[0].from[0]", "Required value: must specify a peer"),
    (
        policy(egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/16", "except": ["11.0.0.0/24"]}}]}]),
        "spec.egress[0].to[0].ipBlock.except[0]",
        'Invalid value: "11.0.0.0/24": must be a strict subset of `cidr`',
    ),
    (
        policy(ingress=[{"ports": [{"port": 80, "endPort": 70}]}]),
        "spec.ingress[0].ports[0].endPort",
        "Invalid value: 80: must be greater than or equal to `port`",
    ),
    (budget(minAvailable="101%"), "spec.minAvailable", 'Invalid value: "101%": must not be greater than 100%'),
    (
        autoscaler(metrics=[{"type": "Resource"}]),
        "spec.metrics[0].resource",
        "Required value: must populate information for the given metric source",
    ),
    (
        job(completionMode="Indexed", parallelism=1),
        "spec.completions",
        "Required value: when completion mode is Indexed",
    ),
]


@pytest.mark.parametrize(("body", "field", "message"), REFUSED, ids=[field for _, field, _ in REFUSED])
def test_a_spec_is_refused_for(ask: Api, space: str, body: tuple[str, dict], field: str, message: str) -> None:
    path, spec = body
    reply = ask("POST", path.format(space), {"metadata": {"name": "x"}, "spec": spec}, dryRun="All")
    assert reply.status == 422, reply.body
    assert [(c["field"], c["message"]) for c in reply.body["details"]["causes"]] == [(field, message)]


@pytest.mark.parametrize(
    "body",
    [
        service(clusterIP="10.96.77.77"),
        service(type="ExternalName", externalName="a.example.com", ports=[]),
        service(ipFamilyPolicy="PreferDualStack"),
        ingress("*.example.com"),
        policy(ingress=[{"from": [{"podSelector": {}}]}]),
        budget(maxUnavailable="100%"),
        autoscaler(minReplicas=1),
        job(),
    ],
)
def test_a_good_spec_is_taken(ask: Api, space: str, body: tuple[str, dict]) -> None:
    path, spec = body
    ask.good("POST", path.format(space), {"metadata": {"name": "x"}, "spec": spec}, dryRun="All")


def test_an_address_and_a_node_port_belong_to_one_service(ask: Api, space: str) -> None:
    path = f"/api/v1/namespaces/{space}/services"
    spec = {"type": "NodePort", "ports": [{"port": 80}]}
    first = ask.good("POST", path, {"metadata": {"name": "a"}, "spec": spec})["spec"]
    taken = {"clusterIP": first["clusterIP"], "ports": [{"port": 80}]}
    reply = ask("POST", path, {"metadata": {"name": "b"}, "spec": taken})
    assert reply.body["message"].endswith("provided IP is already allocated")
    taken = {"type": "NodePort", "ports": [{"port": 80, "nodePort": first["ports"][0]["nodePort"]}]}
    reply = ask("POST", path, {"metadata": {"name": "b"}, "spec": taken})
    assert reply.body["message"].endswith("provided port is already allocated")
    ask.merge(f"{path}/a", {"spec": {"ports": [{"port": 81, "nodePort": first["ports"][0]["nodePort"]}]}})


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("0.0.0.0", "may not be unspecified (0.0.0.0)"),
        ("169.254.1.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("224.0.0.1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ],
)
def test_an_endpoint_must_be_an_address_that_others_can_reach(ask: Api, space: str, address: str, message: str) -> None:
    endpoints = [{"addresses": [address]}]
    path = f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"
    body = {"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": endpoints}
    (cause,) = ask("POST", path, body, dryRun="All").body["details"]["causes"]
    text = f'Invalid value: "{address}": {message}'
    assert (cause["field"], cause["message"]) == ("endpoints[0].addresses[0]", text)
    subsets = [{"addresses": [{"ip": address}]}]
    path = f"/api/v1/namespaces/{space}/endpoints"
    (cause,) = ask("POST", path, {"metadata": {"name": "x"}, "subsets": subsets}, dryRun="All").body["details"][
        "causes"
    ]
    assert (cause["field"], cause["message"]) == ("subsets[0].addresses[0].ip", text)
