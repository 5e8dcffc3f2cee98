"""What leads Twilio's webhooks to an Agent: its Service, and the route from the public address to that."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from switchboard.api.agent import Agent
from switchboard.api.meta import ANNOTATION_AWAITED, API_VERSION, LABEL_AGENT, LABEL_REVISION
from switchboard.api.runtime import HTTP_PORT_NAME, message_path
from switchboard.reconcile.owners import controlled_by
from switchboard.reconcile.workloads import common_labels

Json = dict[str, Any]

SERVICE_PORT = 80


@dataclass(frozen=True, slots=True)
class Routing:
    """What the operator's settings say of routes."""

    kind: Literal["Ingress", "HTTPRoute", "None"] = "Ingress"
    ingress_class: str | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    tls_secret: str | None = None
    gateway: str | None = None
    """`namespace/name`."""


def name_of(agent: str) -> str:
    """Name of an Agent's Service and route. The suffix keeps clear of what the Agent's author may have called so."""
    return f"{agent}-webhook"


def _metadata(agent: Agent, annotations: Mapping[str, str] | None = None) -> Json:
    owner = agent.metadata
    return {
        "name": name_of(owner.name),
        "namespace": owner.namespace,
        "labels": common_labels(owner.name),
        **({"annotations": dict(annotations)} if annotations else {}),
        "ownerReferences": [controlled_by(API_VERSION, "Agent", owner.name, owner.uid)],
    }


def service(agent: Agent, revision: str, *, awaited: bool = False) -> Json:
    """The Agent's Service: a stable name that leads to the live revision's pods.

    Args:
        agent: The Agent.
        revision: The live one, or the one that is awaited.
        awaited: Whether nothing is live yet: the Service says so, because what it leads to counts as live otherwise.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(agent, {ANNOTATION_AWAITED: revision} if awaited else None),
        "spec": {
            "type": "ClusterIP",
            "selector": {LABEL_AGENT: agent.metadata.name, LABEL_REVISION: revision},
            "ports": [{"name": HTTP_PORT_NAME, "port": SERVICE_PORT, "targetPort": HTTP_PORT_NAME, "protocol": "TCP"}],
        },
    }


def route(agent: Agent, connectors: Mapping[str, str], routing: Routing) -> Json | None:
    """The route from the public addresses to the Service.

    Args:
        agent: The Agent.
        connectors: The public URL of each of its connectors, by name.
        routing: What kind of route.
    """
    if not connectors or routing.kind == "None":
        return None
    paths = sorted({_address(agent.metadata.namespace, name, url) for name, url in connectors.items()})
    return _ingress(agent, paths, routing) if routing.kind == "Ingress" else _http_route(agent, paths, routing)


def _address(namespace: str, connector: str, public_url: str) -> tuple[str, str]:
    """Host (empty for an IP address, which no rule may name) and path that Twilio posts to."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        host = ""
    return host, parts.path.rstrip("/") + message_path(namespace, connector)


def _ingress(agent: Agent, paths: Sequence[tuple[str, str]], routing: Routing) -> Json:
    backend = {"service": {"name": name_of(agent.metadata.name), "port": {"name": HTTP_PORT_NAME}}}
    hosts = sorted({host for host, _ in paths})
    spec: Json = {
        "rules": [
            {
                **({"host": host} if host else {}),
                "http": {
                    "paths": [
                        {"path": path, "pathType": "Prefix", "backend": backend}
                        for other, path in paths
                        if other == host
                    ]
                },
            }
            for host in hosts
        ]
    }
    if routing.ingress_class:
        spec["ingressClassName"] = routing.ingress_class
    if routing.tls_secret:
        spec["tls"] = [{"hosts": [host for host in hosts if host], "secretName": routing.tls_secret}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": _metadata(agent, dict(routing.annotations)),
        "spec": spec,
    }


def _http_route(agent: Agent, paths: Sequence[tuple[str, str]], routing: Routing) -> Json:
    namespace, _, name = (routing.gateway or "").rpartition("/")
    hosts = sorted({host for host, _ in paths if host})
    backend = {"group": "", "kind": "Service", "name": name_of(agent.metadata.name), "port": SERVICE_PORT, "weight": 1}
    spec: Json = {
        "parentRefs": [
            {
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "name": name,
                **({"namespace": namespace} if namespace else {}),
            }
        ],
        "rules": [
            {
                "matches": [
                    {"path": {"type": "PathPrefix", "value": path}} for path in sorted({path for _, path in paths})
                ],
                "backendRefs": [backend],
            }
        ],
    }
    if hosts:
        spec["hostnames"] = hosts
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": _metadata(agent),
        "spec": spec,
    }
