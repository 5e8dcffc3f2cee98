"""The resource types that Switchboard uses, and their paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as it stands in JSON."""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """How a kind of object is called in the API. `group` is empty for core/v1."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """What stands in `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of a collection or object. Without a namespace: of all namespaces.

        Raises:
            ValueError: a namespaced object without its namespace.
        """
        if self.namespaced and name is not None and not namespace:
            raise ValueError(f"{self.kind} {name!r} needs a namespace")
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)


_OURS = ("switchboard.dev", "v1alpha1")

AGENTS = ResourceType(*_OURS, "agents", "Agent")
AGENT_REVISIONS = ResourceType(*_OURS, "agentrevisions", "AgentRevision")
TWILIO_CONNECTORS = ResourceType(*_OURS, "twilioconnectors", "TwilioConnector")
ACCESS_REQUESTS = ResourceType(*_OURS, "accessrequests", "AccessRequest")
CONVERSATIONS = ResourceType(*_OURS, "conversations", "Conversation")
MESSAGES = ResourceType(*_OURS, "messages", "Message")
EXECUTIONS = ResourceType(*_OURS, "executions", "Execution")

CONFIG_MAPS = ResourceType("", "v1", "configmaps", "ConfigMap")
EVENTS = ResourceType("", "v1", "events", "Event")
NAMESPACES = ResourceType("", "v1", "namespaces", "Namespace", namespaced=False)
PODS = ResourceType("", "v1", "pods", "Pod")
SECRETS = ResourceType("", "v1", "secrets", "Secret")
SERVICES = ResourceType("", "v1", "services", "Service")
SERVICE_ACCOUNTS = ResourceType("", "v1", "serviceaccounts", "ServiceAccount")
DEPLOYMENTS = ResourceType("apps", "v1", "deployments", "Deployment")
REPLICA_SETS = ResourceType("apps", "v1", "replicasets", "ReplicaSet")
HPAS = ResourceType("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
LEASES = ResourceType("coordination.k8s.io", "v1", "leases", "Lease")
HTTP_ROUTES = ResourceType("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
INGRESSES = ResourceType("networking.k8s.io", "v1", "ingresses", "Ingress")
PDBS = ResourceType("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
ROLE_BINDINGS = ResourceType("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CRDS = ResourceType(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
SELF_REVIEWS = ResourceType("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False)
