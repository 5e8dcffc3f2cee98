"""The RBAC rules that the operator and its webhooks need, from what they do. The chart and the tests use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from switchboard.api.meta import GROUP

Json = dict[str, Any]

WEBHOOK_ROLE = "switchboard-webhook"
OPERATOR_ROLE = "switchboard-operator"

_READ = ("get", "list", "watch")
_WATCH = ("list", "watch")


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()) -> Json:
    rule: Json = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
    if names:
        rule["resourceNames"] = list(names)
    return rule


def webhook_rules() -> list[Json]:
    """What a revision's pods do in their own namespace. No Secret: what they need is mounted."""
    return [
        _rule(GROUP, ["agents", "agentrevisions", "twilioconnectors"], _READ),
        _rule(GROUP, ["agentrevisions/status"], ["patch"]),
        _rule(GROUP, ["accessrequests"], [*_READ, "create"]),
        _rule(GROUP, ["accessrequests/status"], ["patch"]),
        _rule(
            GROUP,
            ["conversations", "messages", "executions"],
            [*_READ, "create", "update", "patch", "delete"],
        ),
        _rule(GROUP, ["conversations/status", "messages/status", "executions/status"], ["update", "patch"]),
        # Which pod looks for what a connector missed, and how far it came: one Lease a connector, named by a hash.
        _rule("coordination.k8s.io", ["leases"], ["get", "create", "update"]),
        _rule("", ["events"], ["create", "patch"]),
    ]


def webhook_cluster_role(name: str = WEBHOOK_ROLE) -> Json:
    """The ClusterRole that the operator binds, namespace by namespace, and never writes."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": webhook_rules(),
    }


def operator_rules(
    *, route: Literal["Ingress", "HTTPRoute", "None"] = "Ingress", webhook_role: str = WEBHOOK_ROLE
) -> list[Json]:
    """What the operator does in each namespace that it watches."""
    applied = ("get", "list", "watch", "create", "patch", "delete")
    rules = [
        _rule(GROUP, ["agents"], _WATCH),
        _rule(GROUP, ["agents/status", "agentrevisions/status", "twilioconnectors/status"], ["patch"]),
        _rule(GROUP, ["agentrevisions"], [*_READ, "create", "delete"]),
        _rule(GROUP, ["twilioconnectors"], [*_READ, "patch"]),
        # blockOwnerDeletion on what is owned: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#ownerreferencespermissionenforcement
        _rule(GROUP, ["agents/finalizers", "agentrevisions/finalizers", "twilioconnectors/finalizers"], ["update"]),
        _rule("", ["configmaps", "serviceaccounts"], applied),
        _rule("", ["services"], applied[:-1]),  # they go with their Agent
        # Secrets that resources name are read by their names, which no rule can know. Ours are applied by name.
        _rule("", ["secrets"], ["get", "list", "watch", "create", "patch"]),
        _rule("", ["pods"], _WATCH),
        _rule("", ["events"], ["create"]),
        _rule("", ["namespaces"], ["get"]),
        _rule("apps", ["deployments"], applied),
        _rule("policy", ["poddisruptionbudgets"], applied),
        _rule("autoscaling", ["horizontalpodautoscalers"], applied),
        _rule("rbac.authorization.k8s.io", ["rolebindings"], applied),
        # Binding a role that holds more than oneself takes this verb, here for that one role only.
        _rule("rbac.authorization.k8s.io", ["clusterroles"], ["bind"], [webhook_role]),
    ]
    if route == "Ingress":
        rules.append(_rule("networking.k8s.io", ["ingresses"], applied))
    if route == "HTTPRoute":
        rules.append(_rule("gateway.networking.k8s.io", ["httproutes"], applied))
    return rules


def finalizer_rules() -> list[Json]:
    """What the operator may do in every namespace, also where it watches named ones only: remove its finalizer.

    No deletion then ever waits for an operator that does not look there any more.
    """
    return [_rule(GROUP, ["twilioconnectors"], ["list", "patch"])]


def lease_rules(name: str = OPERATOR_ROLE) -> list[Json]:
    """What leader election takes, in the operator's own namespace."""
    return [
        _rule("coordination.k8s.io", ["leases"], ["create"]),
        _rule("coordination.k8s.io", ["leases"], ["get", "update"], [name]),
    ]


def release_rules() -> list[Json]:
    """What `switchboard release` does, in each namespace, before the operator is uninstalled."""
    return [
        _rule(GROUP, ["twilioconnectors"], ["get", "list", "patch"]),
        _rule(GROUP, ["twilioconnectors/status"], ["patch"]),
        _rule("", ["secrets", "namespaces"], ["get"]),
        _rule("", ["events"], ["create"]),
    ]


def stop_rules(deployment: str) -> list[Json]:
    """What `switchboard release` takes in the operator's own namespace to end the operator, besides `lease_rules`."""
    return [_rule("apps", ["deployments"], ["patch"], [deployment])]


def view_rules() -> list[Json]:
    """For who looks at workloads: the kinds that hold no customer's words."""
    return [_rule(GROUP, ["agents", "agentrevisions", "twilioconnectors"], _READ)]


def edit_rules() -> list[Json]:
    """For who changes workloads. Revisions are made from Agents, never written by hand."""
    verbs = ("create", "delete", "deletecollection", "patch", "update")
    return [_rule(GROUP, ["agents", "twilioconnectors"], verbs)]


def reader_rules() -> list[Json]:
    """For who may read what customers write, and who asks to be let in."""
    return [_rule(GROUP, ["conversations", "messages", "executions", "accessrequests"], _READ)]


def approver_rules() -> list[Json]:
    """For who decides who may write to an agent."""
    return [_rule(GROUP, ["accessrequests"], [*_READ, "patch", "update"])]
