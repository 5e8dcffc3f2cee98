"""What the operator makes for an Agent: the largest there is."""

from __future__ import annotations

from typing import Any

from switchboard.api.agent import Agent, AgentRevision
from switchboard.reconcile import routes, workloads
from switchboard.reconcile.routes import Routing
from switchboard.reconcile.workloads import Platform, Revision

Manifest = dict[str, Any]

TEMPLATE: Manifest = {
    "name": "v1",
    "engine": {"script": {"rules": [], "fallback": "What?"}},
    "connectors": [{"name": "production-sms"}],
    "webhook": {
        "autoscaling": {"minReplicas": 2, "maxReplicas": 10, "targetCPU": 70},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "priorityClassName": "high",
    },
}


def objects() -> list[Manifest]:
    """Everything of one Agent and its revision, with each kind of route."""
    agent = Agent.model_validate(
        {"metadata": {"name": "support", "namespace": "acme", "uid": "u-1"}, "spec": {"template": TEMPLATE}}
    )
    revision = AgentRevision.model_validate(
        {"metadata": {"name": "support-v1", "namespace": "acme", "uid": "u-2"}, "spec": TEMPLATE}
    )
    log = agent.spec.conversation_log or _log()
    made = workloads.manifests(Revision(agent, revision, log), Platform(image="registry.example.com/switchboard:1"))
    made.append(routes.service(agent, "support-v1"))
    urls = {"production-sms": "https://agents.example.com"}
    for kind, gateway in (("Ingress", None), ("HTTPRoute", "gateways/public")):
        route = routes.route(agent, urls, Routing(kind=kind, gateway=gateway))  # type: ignore[arg-type]
        assert route is not None
        made.append(route)
    return made


def _log() -> Any:
    from switchboard.api.agent import ConversationLogSpec

    return ConversationLogSpec()
