"""The kinds of what an Agent and its connectors are and have made for them, Secrets and Events aside."""

from __future__ import annotations

from switchboard.kube import resources

OURS_AND_MADE = (
    resources.AGENTS,
    resources.AGENT_REVISIONS,
    resources.TWILIO_CONNECTORS,
    resources.DEPLOYMENTS,
    resources.SERVICES,
    resources.INGRESSES,
    resources.CONFIG_MAPS,
    resources.SERVICE_ACCOUNTS,
    resources.ROLE_BINDINGS,
)
