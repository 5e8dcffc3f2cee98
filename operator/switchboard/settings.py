"""Settings of the processes, read from the environment (`SWITCHBOARD_…`). A wrong one fails at start, by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="SWITCHBOARD_", frozen=True, use_attribute_docstrings=True, env_ignore_empty=True
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least level that is logged."""
    log_format: Literal["json", "text"] = "json"
    """One JSON object a line, or lines for people."""


class OperatorSettings(_Settings):
    """What the operator is told."""

    public_url: str | None = None
    """Where Twilio reaches this cluster: `https://agents.example.com`. Connectors may name their own."""
    allowed_hosts: list[str] = []
    """Hosts that a connector's `publicURL` and `api.baseURL` may name besides the public URL's (JSON list)."""
    namespaces: list[str] = []
    """Namespaces to watch (JSON list). Empty: all."""
    image: str = "switchboard:0.1.0"
    """The image of webhook pods."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """Its pull policy."""
    webhook_cluster_role: str = "switchboard-webhook"
    """The ClusterRole that each webhook's ServiceAccount is bound to, in its own namespace."""
    route: Literal["Ingress", "HTTPRoute", "None"] = "Ingress"
    """What leads the public URL to an Agent's Service."""
    ingress_class: str | None = None
    """`ingressClassName` of Ingresses."""
    ingress_annotations: dict[str, str] = {}
    """Annotations of Ingresses (JSON object)."""
    gateway: str | None = None
    """`namespace/name` of the Gateway that HTTPRoutes attach to."""
    default_log_backend: Literal["Resources", "Postgres"] = "Resources"
    """Where conversations are kept of Agents that do not say."""
    default_log_secret: str = "switchboard-postgres"  # noqa: S105 - a Secret's name
    """With Postgres: name of the Secret in each Agent's own namespace."""
    default_log_secret_key: str = "dsn"  # noqa: S105 - a key's name
    """With Postgres: its key."""
    twilio_base_url: str | None = None
    """Where Twilio's API is reached by connectors that do not say: an egress gateway, or a simulator."""
    check_interval: float = Field(default=300, gt=0)
    """Seconds between two checks of a connector at Twilio."""
    health_port: int = Field(default=8081, ge=0, le=65535)
    """/livez, /readyz and /metrics. 0: any."""
    lease_namespace: str | None = None
    """Namespace of the leader-election Lease. Unset: this is the only operator."""
    identity: str | None = None
    """This process's name in the Lease. Default: the host's name."""


class WebhookSettings(_Settings):
    """What a webhook pod is told."""

    config: Path = Path("/etc/switchboard/config/webhook.json")
    """The file that the operator wrote (`switchboard.api.runtime.WebhookConfig`)."""
    secrets: Path = Path("/etc/switchboard/secrets")
    """The directory of secrets."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod listens on its own address
    """Address to listen on."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port for Twilio's webhooks."""
    health_port: int = Field(default=8081, ge=0, le=65535)
    """Port for /livez, /readyz and /metrics."""
    pod_name: str = "webhook"
    """This pod: the holder of its leases."""
    shutdown_seconds: float = Field(default=25, gt=0)
    """Seconds that running turns are given at the end; less than the pod's grace period."""
