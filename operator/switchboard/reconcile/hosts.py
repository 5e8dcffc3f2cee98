"""Hosts that an Agent's engine may reach: its author chooses URLs, and Secrets' values go there."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from switchboard.api.agent import AgentTemplate
from switchboard.api.hosts import host_allowed, host_of
from switchboard.api.reasons import AgentReason
from switchboard.reconcile.outcome import Problem


def problem(template: AgentTemplate, allowed: Collection[str]) -> Problem | None:
    """The first URL whose host is not `allowed`. Nothing in that allows every host."""
    for field, url in _urls(template) if allowed else ():
        if not host_allowed(url, [], allowed):
            message = (
                f"{field} names the host {host_of(url)}, which this operator does not allow. Use an allowed one, or "
                "have it added to engineHosts in the operator's Helm values."
            )
            return Problem(AgentReason.HOST_NOT_ALLOWED, message)
    return None


def _urls(template: AgentTemplate) -> Iterator[tuple[str, str]]:
    engine, field = template.engine, "spec.template.engine"
    if engine.endpoint is not None:
        yield f"{field}.endpoint.url", engine.endpoint.url
    if engine.model is not None:
        if engine.model.base_url is not None:
            yield f"{field}.model.baseURL", engine.model.base_url
        for server in engine.model.mcp_servers:
            yield f"{field}.model.mcpServers[{server.name}].url", server.url
