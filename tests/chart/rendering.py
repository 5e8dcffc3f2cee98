"""The chart as Helm's own engine renders it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

helm = pytest.importorskip("helm_python", reason="Helm's engine has no wheel for this platform")

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "switchboard"
RELEASE, NAMESPACE = "switchboard", "switchboard-system"

Manifest = dict[str, Any]

EVERYTHING: Manifest = {
    "publicURL": "https://agents.example.com",
    "allowedHosts": ["other.example.com"],
    "route": {"kind": "HTTPRoute", "gateway": {"name": "public", "namespace": "gateways"}},
    "conversationLog": {"backend": "Postgres", "postgres": {"secretName": "conversations", "secretKey": "uri"}},
    "image": {"repository": "registry.example.com/switchboard", "digest": "sha256:" + "0123456789abcdef" * 4},
    "imagePullSecrets": [{"name": "registry"}],
    "operator": {
        "replicas": 2,
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "podAnnotations": {"team": "telephony"},
        "podLabels": {"cost-centre": "42"},
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
    },
    "webhook": {"environment": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4317"}},
    "twilio": {"baseURL": "http://egress.gateways"},
    "serviceAccount": {
        "name": "switchboard-sa",
        "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"},
    },
    "networkPolicy": {
        "enabled": True,
        "apiServerCIDRs": ["10.0.0.1/32"],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.2.0.0/16"}}]}],
        "webhooks": {
            "namespaces": ["acme"],
            "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}],
            "databaseTo": [{"podSelector": {"matchLabels": {"cnpg.io/cluster": "conversations"}}}],
            "extraEgress": [{"ports": [{"port": 8000}]}],
        },
    },
    "admissionPolicy": {"deciders": ["system:serviceaccount:acme:flux"]},
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "podMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboard": {"enabled": True},
    },
}

CASES: dict[str, Manifest] = {
    "defaults": {},
    "ingress": {
        "publicURL": "https://agents.example.com",
        "route": {
            "ingress": {
                "className": "nginx",
                "annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
                "tlsSecretName": "agents-tls",
            }
        },
    },
    "namespaces": {
        "namespaces": ["acme", "beta"],
        "networkPolicy": {"enabled": True},
        "metrics": {"podMonitor": {"enabled": True}},
    },
    "everything": EVERYTHING,
    "least": {
        "route": {"kind": "None"},
        "rbac": {"aggregate": False},
        "admissionPolicy": {"enabled": False},
        "release": {"enabled": False},
        "operator": {"runAsUser": None},
        "crds": {"keep": False},
        "fullnameOverride": "sb",
    },
}


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""What a chart renders is megabytes, over which PyYAML's own parser takes seconds."""


@functools.cache
def chart() -> Any:
    """The chart, loaded."""
    return helm.Chart.load(CHART)


def templates(values: Manifest | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE) -> dict[str, str]:
    """The text of each template, by its file's name."""
    rendered: dict[str, str] = chart().render(values or {}, name=release, namespace=namespace)
    return {name.removeprefix("switchboard/templates/"): text for name, text in rendered.items()}


def render(values: Manifest | None = None, *, crds: bool = False, **names: str) -> list[Manifest]:
    """The objects, hooks among them, in the order of the templates' names. `names`: of release and namespace."""
    found = []
    for name, text in sorted(templates(values, **names).items()):
        if name.endswith(".yaml") and (crds or name != "crds.yaml"):
            found += [document for document in yaml.load_all(text, LOADER) if document]
    return found


def one(objects: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The only object of a kind, or the one of that name."""
    found = [it for it in objects if it["kind"] == kind and name in (None, it["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} {kind} {name or ''}"
    return found[0]


def pod_specs(objects: list[Manifest]) -> dict[str, Manifest]:
    """The pod templates' specs, by the kind and name of what makes the pods."""
    return {
        f"{it['kind']}/{it['metadata']['name']}": it["spec"]["template"]["spec"]
        for it in objects
        if it["kind"] in {"Deployment", "Job", "StatefulSet", "DaemonSet"}
    }
