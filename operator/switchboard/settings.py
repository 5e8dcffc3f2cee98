"""Settings of the processes, read from the environment (`SWITCHBOARD_…`). A wrong one fails at start, by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _address(value: str) -> str:
    """Paths are added to it: it has a host, and neither user information nor a query nor a fragment."""
    try:
        parts = urlsplit(value)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or any(mark in value for mark in "@?#\\ "):
        raise ValueError("must be http:// or https:// with a host, and at most a port and a path")
    return value


_Address = Annotated[str, AfterValidator(_address)]

_OF_PODS = {f"SWITCHBOARD_{name}" for name in ("CONFIG", "SECRETS", "HOST", "POD_NAME")}


def _environment(value: dict[str, str]) -> dict[str, str]:
    """A variable that is set twice makes a pod that the API server refuses."""
    if taken := sorted(_OF_PODS & value.keys()):
        raise ValueError(f"{taken[0]} is the operator's to set: leave it out")
    return value


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="SWITCHBOARD_", frozen=True, use_attribute_docstrings=True, env_ignore_empty=True
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least level of ours that is logged. Libraries tell warnings at most: they would tell what people wrote."""
    log_format: Literal["json", "text"] = "json"
    """One JSON object a line, or lines for people."""


class OperatorSettings(_Settings):
    """What the operator is told."""

    public_url: _Address | None = None
    """Where Twilio reaches this cluster: `https://agents.example.com`. Connectors may name their own."""
    allowed_hosts: list[str] = []
    """Hosts that a connector's `publicURL` and `api.baseURL` may name besides those of `public_url` and
    `twilio_base_url` (JSON list): a host, a host with a port, or `*.` and a domain for all below it."""
    engine_hosts: list[str] = []
    """Hosts that Agents' engines may name: `endpoint.url`, `model.baseURL`, `mcpServers[].url` (JSON list, entries as
    `allowed_hosts`). Empty: all."""
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
    ingress_tls_secret: str | None = None
    """Name of the TLS Secret that Ingresses name, in each Agent's own namespace."""
    gateway: str | None = None
    """`namespace/name` of the Gateway that HTTPRoutes attach to."""
    default_log_backend: Literal["Resources", "Postgres"] = "Resources"
    """Where conversations are kept of Agents that do not say."""
    default_log_secret: str = "switchboard-postgres"  # noqa: S105 - a Secret's name
    """With Postgres: name of the Secret in each Agent's own namespace."""
    default_log_secret_key: str = "dsn"  # noqa: S105 - a key's name
    """With Postgres: its key."""
    twilio_base_url: _Address | None = None
    """Where Twilio's API is reached by connectors that do not say: an egress gateway, or a simulator."""
    check_interval: float = Field(default=300, gt=0)
    """Seconds between two checks of a connector at Twilio."""
    health_host: str = "0.0.0.0"  # noqa: S104 - probes come from the node
    """Address of /livez, /readyz and /metrics."""
    health_port: int = Field(default=8081, ge=0, le=65535)
    """/livez, /readyz and /metrics. 0: any."""
    lease_namespace: str | None = None
    """Namespace of the leader-election Lease. Unset: this is the only operator."""
    lease_name: str = "switchboard-operator"
    """Name of that Lease."""
    lease_seconds: float = Field(default=15, ge=1)
    """Seconds after which a silent holder of the Lease counts as gone. It is renewed at a third of them."""
    identity: str | None = None
    """This process's name in the Lease. Default: the host's name and the process id."""
    request_seconds: float = Field(default=30, gt=0)
    """Seconds that a request to the Kubernetes API may take."""
    workers: int = Field(default=16, ge=1, le=256)
    """Objects that are reconciled at once."""
    progress_seconds: int = Field(default=300, ge=1)
    """Seconds after which a revision whose pods are not ready counts as failed. It is still tried."""
    release_seconds: float = Field(default=300, gt=0)
    """Seconds that a deleted connector is kept while its webhook at Twilio cannot be put back."""
    drain_seconds: float = Field(default=600, gt=0)
    """Seconds that a superseded revision none of whose pods is ready is kept for its conversations."""
    pod_environment: Annotated[dict[str, str], AfterValidator(_environment)] = {}
    """Environment of webhook pods besides what the operator sets (JSON object): proxies, trace exporters' headers. They
    take over the operator's own `OTEL_…` but for headers and names, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set."""


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
    drain_seconds: float = Field(default=3, ge=0)
    """Seconds after SIGTERM that requests are still taken: the route needs a while to hear of it."""
    termination_log: Path = Path("/dev/termination-log")
    """Where `check` writes why it failed: the kubelet shows it in the pod's status."""
    lease_seconds: float = Field(default=30, ge=1)
    """Seconds after which another pod takes over the turn of one that died."""
    send_seconds: float = Field(default=10, gt=0)
    """Seconds that one request to send may take."""
    send_attempts: int = Field(default=12, ge=1)
    """Requests to send one reply that Twilio puts off (429), before it fails."""
    replies_per_hour: int = Field(default=60, ge=1)
    """Replies to one contact within an hour; beyond them its messages are kept and not answered."""
    contact_burst: int = Field(default=20, ge=1)
    """Messages of one contact that are taken at once; beyond them and the rate they are kept and not answered."""
    contact_per_minute: float = Field(default=20, gt=0)
    """Messages of one contact that are answered a minute, after the burst."""
    media_bytes: int = Field(default=5_000_000, ge=0)
    """Bytes of one file that is fetched for an engine."""
    media_turn_bytes: int = Field(default=20_000_000, ge=0)
    """Bytes of all files of one turn."""
    media_types: list[str] = ["image/*", "audio/*", "video/*", "text/*", "application/pdf"]
    """Types of files that are fetched (JSON list)."""
    media_seconds: float = Field(default=15, gt=0)
    """Seconds that fetching one file may take."""
    backfill_seconds: float = Field(default=300, gt=0)
    """Seconds between two looks at Twilio for messages that no webhook brought."""
    settling_seconds: float = Field(default=20, ge=0)
    """Age that a message at Twilio has when its webhook is no longer waited for: Twilio tries for 15 seconds."""
    delivery_ages: list[Annotated[float, Field(gt=0)]] = Field(default=[120, 3600, 21600], max_length=10)
    """Ages in seconds at which a reply is looked up at Twilio whose delivery no callback told (JSON list), at the next
    backfill. Empty: never."""
    missed_seconds: float = Field(default=3600, gt=0)
    """Age beyond which a message that no webhook brought is recorded and not answered."""
