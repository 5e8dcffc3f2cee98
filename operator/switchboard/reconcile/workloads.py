"""What runs a revision: its Deployment and what that needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from switchboard.api import runtime
from switchboard.api.agent import Agent, AgentRevision, ConversationLogSpec, Webhook
from switchboard.api.meta import ANNOTATION_CHECKSUM, API_VERSION, GROUP, LABEL_AGENT, LABEL_REVISION
from switchboard.api.runtime import WebhookConfig
from switchboard.reconcile import contacts
from switchboard.reconcile.owners import controlled_by
from switchboard.reconcile.secrets import Secrets, Use, sources

Json = dict[str, Any]

CONTAINER = "webhook"
GRACE_SECONDS = 40
"""Seconds that a pod has to end: more than the webhook's own `shutdown_seconds`."""
REQUESTS = {"cpu": "50m", "memory": "128Mi"}
LIMITS = {"memory": "512Mi"}
ANNOTATION_SECRETS = f"{GROUP}/secret-versions"
"""On a Deployment: the versions of the Secrets that its pods mount, as a JSON object."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What the operator's settings say of workloads."""

    image: str
    image_pull_policy: str = "IfNotPresent"
    webhook_cluster_role: str = "switchboard-webhook"
    public_url: str = ""
    allowed_hosts: tuple[str, ...] = ()
    twilio_base_url: str | None = None
    progress_seconds: int = 300
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """All that a revision's workload is made from."""

    agent: Agent
    revision: AgentRevision
    log: ConversationLogSpec
    uses: Sequence[Use] = ()
    """Secrets to mount."""
    secrets: Secrets = field(default_factory=dict)
    contacts: str = ""
    """The uid of the Secret that keys contacts' names."""

    @property
    def name(self) -> str:
        """Name of the revision and of all that runs it."""
        return self.revision.metadata.name

    @property
    def namespace(self) -> str:
        """Where it is."""
        return self.agent.metadata.namespace

    @property
    def labels(self) -> dict[str, str]:
        """What selects its pods."""
        return {LABEL_AGENT: self.agent.metadata.name, LABEL_REVISION: self.name}


def manifests(revision: Revision, platform: Platform) -> list[Json]:
    """Everything that runs a revision, in the order in which it is applied."""
    webhook = revision.revision.spec.webhook
    config = _config_map(revision, platform)
    objects = [config, _service_account(revision), _role_binding(revision, platform)]
    objects.append(_deployment(revision, platform, config))
    if _fewest(webhook) > 1:
        objects.append(_disruption_budget(revision))
    if webhook.autoscaling is not None:
        objects.append(_autoscaler(revision, webhook))
    return objects


def common_labels(agent: str) -> dict[str, str]:
    """What all objects of an Agent carry. https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/"""
    return {
        "app.kubernetes.io/name": "switchboard",
        "app.kubernetes.io/component": "webhook",
        "app.kubernetes.io/managed-by": "switchboard-operator",
        LABEL_AGENT: agent,
    }


def _object(revision: Revision, api_version: str, kind: str, **content: Any) -> Json:
    owner = revision.revision.metadata
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": revision.name,
            "namespace": revision.namespace,
            "labels": {**common_labels(revision.agent.metadata.name), **revision.labels},
            "ownerReferences": [controlled_by(API_VERSION, "AgentRevision", owner.name, owner.uid)],
        },
        **content,
    }


def _config_map(revision: Revision, platform: Platform) -> Json:
    config = WebhookConfig(
        namespace=revision.namespace,
        agent=revision.agent.metadata.name,
        revision=revision.name,
        template=revision.revision.spec,
        conversation_log=revision.log,
        public_url=platform.public_url,
        allowed_hosts=list(platform.allowed_hosts),
        twilio_base_url=platform.twilio_base_url,
    )
    layout = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    text = orjson.dumps(config.manifest(), option=layout).decode()
    return _object(revision, "v1", "ConfigMap", data={"webhook.json": text})


def _service_account(revision: Revision) -> Json:
    return _object(revision, "v1", "ServiceAccount")


def _role_binding(revision: Revision, platform: Platform) -> Json:
    return _object(
        revision,
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        roleRef={
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": platform.webhook_cluster_role,
        },
        subjects=[{"kind": "ServiceAccount", "name": revision.name, "namespace": revision.namespace}],
    )


def _deployment(revision: Revision, platform: Platform, config: Json) -> Json:
    webhook = revision.revision.spec.webhook
    spec: Json = {
        "selector": {"matchLabels": revision.labels},
        "revisionHistoryLimit": 1,
        "progressDeadlineSeconds": platform.progress_seconds,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": {
                "labels": {**common_labels(revision.agent.metadata.name), **revision.labels},
                "annotations": {ANNOTATION_CHECKSUM: _checksum(revision, config)},
            },
            "spec": _pod(revision, platform),
        },
    }
    if webhook.autoscaling is None:
        spec["replicas"] = webhook.replicas
    deployment = _object(revision, "apps/v1", "Deployment", spec=spec)
    versions = json.dumps(_versions(revision), sort_keys=True)
    deployment["metadata"]["annotations"] = {ANNOTATION_SECRETS: versions}
    return deployment


def tracing(environment: Mapping[str, str]) -> dict[str, str]:
    """What webhook pods take over of the operator's own environment: where its traces go, and how.

    Without headers, which carry keys that a pod's manifest must not show, and without the operator's own name.
    """
    if not environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") and not environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return {}
    own = ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES")
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("OTEL_") and not name.endswith("_HEADERS") and name not in own
    }


def _versions(revision: Revision) -> dict[str, str]:
    """The version of each Secret that is mounted."""
    found = {use.secret: revision.secrets.get(use.secret) for use in revision.uses}
    return {name: facts.version for name, facts in found.items() if facts is not None and facts.allowed}


def _checksum(revision: Revision, config: Json) -> str:
    """Changes when what the pods read at their start does: their configuration, and the Secrets' versions."""
    text = json.dumps([config["data"], _versions(revision), revision.contacts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rolled_out(deployment: Json) -> dict[str, str]:
    """The versions of the Secrets that all pods of a Deployment run with; empty while old and new pods run at once, and
    where somebody wrote nonsense into the annotation."""
    metadata, spec, status = deployment["metadata"], deployment.get("spec", {}), deployment.get("status", {})
    wanted = int(spec.get("replicas", 1))
    counts = {int(status.get(name, 0)) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    if int(status.get("observedGeneration", 0)) < int(metadata.get("generation", 0)) or counts != {wanted}:
        return {}
    try:
        versions = json.loads((metadata.get("annotations") or {}).get(ANNOTATION_SECRETS, "{}"))
    except ValueError:
        return {}
    return versions if isinstance(versions, dict) else {}


def _pod(revision: Revision, platform: Platform) -> Json:
    webhook = revision.revision.spec.webhook
    pod: Json = {
        "serviceAccountName": revision.name,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        # No user id: the image has one, and OpenShift gives its own.
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [_container("check", ["switchboard", "webhook", "check"], webhook, platform)],
        "containers": [_serving(_container(CONTAINER, ["switchboard", "webhook", "serve"], webhook, platform))],
        "volumes": [
            {"name": "config", "configMap": {"name": revision.name}},
            {
                "name": "secrets",
                "projected": {
                    "defaultMode": 0o444,
                    "sources": [contacts.source(), *sources(revision.uses, revision.secrets)],
                },
            },
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": revision.labels},
            }
        ],
    }
    if webhook.node_selector:
        pod["nodeSelector"] = dict(webhook.node_selector)
    if webhook.tolerations:
        pod["tolerations"] = [toleration.manifest() for toleration in webhook.tolerations]
    if webhook.priority_class_name:
        pod["priorityClassName"] = webhook.priority_class_name
    return pod


def _container(name: str, command: list[str], webhook: Webhook, platform: Platform) -> Json:
    return {
        "name": name,
        "image": platform.image,
        "imagePullPolicy": platform.image_pull_policy,
        "command": command,
        "env": [
            {"name": "SWITCHBOARD_CONFIG", "value": runtime.CONFIG_PATH},
            {"name": "SWITCHBOARD_SECRETS", "value": runtime.SECRETS_PATH},
            {"name": "SWITCHBOARD_HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "SWITCHBOARD_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            *({"name": key, "value": value} for key, value in platform.environment),
        ],
        "resources": _resources(webhook),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # What the check says on its way out becomes the Agent's condition.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "config", "mountPath": runtime.CONFIG_PATH.rpartition("/")[0], "readOnly": True},
            {"name": "secrets", "mountPath": runtime.SECRETS_PATH, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the root file system is read-only
        ],
    }


def _resources(webhook: Webhook) -> Json:
    """What the manifest says; ours only where it says nothing, because our limit may be below its request."""
    said = webhook.resources
    if not said.requests and not said.limits:
        return {"requests": dict(REQUESTS), "limits": dict(LIMITS)}
    return {key: dict(value) for key, value in (("requests", said.requests), ("limits", said.limits)) if value}


def _serving(container: Json) -> Json:
    def probe(path: str, **timing: int) -> Json:
        return {"httpGet": {"path": path, "port": runtime.HEALTH_PORT_NAME}, **timing}

    return {
        **container,
        "ports": [
            {"name": runtime.HTTP_PORT_NAME, "containerPort": runtime.HTTP_PORT, "protocol": "TCP"},
            {"name": runtime.HEALTH_PORT_NAME, "containerPort": runtime.HEALTH_PORT, "protocol": "TCP"},
        ],
        "startupProbe": probe("/livez", periodSeconds=1, timeoutSeconds=2, failureThreshold=60),
        "readinessProbe": probe("/readyz", periodSeconds=2, timeoutSeconds=2, failureThreshold=2),
        "livenessProbe": probe("/livez", periodSeconds=10, timeoutSeconds=5, failureThreshold=3),
    }


def _fewest(webhook: Webhook) -> int:
    return webhook.autoscaling.min_replicas if webhook.autoscaling is not None else webhook.replicas


def _disruption_budget(revision: Revision) -> Json:
    return _object(
        revision,
        "policy/v1",
        "PodDisruptionBudget",
        spec={"maxUnavailable": 1, "selector": {"matchLabels": revision.labels}},
    )


def _autoscaler(revision: Revision, webhook: Webhook) -> Json:
    scaling = webhook.autoscaling
    if scaling is None:
        raise ValueError("autoscaling is not set")
    return _object(
        revision,
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": revision.name},
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": scaling.target_cpu},
                    },
                }
            ],
        },
    )
