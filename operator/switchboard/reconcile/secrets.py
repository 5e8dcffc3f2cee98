"""Secrets that resources refer to: which there are, and whether they may be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from switchboard.api.agent import AgentTemplate, ConversationLogSpec
from switchboard.api.meta import LABEL_USE
from switchboard.api.runtime import SecretFiles
from switchboard.reconcile.outcome import Mend, Problem

SECRET_NOT_ALLOWED = "SecretNotAllowed"  # noqa: S105 - a reason


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What is known of a Secret, without any of its values."""

    name: str
    allowed: bool
    """Whether it carries `switchboard.dev/use: "true"`."""
    keys: frozenset[str]
    version: str
    """Changes when the Secret does."""


Secrets = Mapping[str, SecretFacts | None]
"""The Secrets of a namespace that were looked for, by name; None where there is none."""


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a Secret: which keys, and where the webhook finds them. No keys: all, below `path`."""

    secret: str
    path: str
    key: str | None
    field: str
    """The field of the manifest that refers to it."""
    keys: tuple[str, ...] = ()
    """With no `key`: only these, where they exist."""
    required: bool = True


def template_uses(template: AgentTemplate) -> list[Use]:
    """The Secrets that an Agent's engine needs."""
    engine = template.engine
    uses: list[Use] = []
    if engine.model is not None:
        if engine.model.api_key is not None:
            ref = engine.model.api_key.secret_ref
            uses.append(Use(ref.name, SecretFiles.ENGINE_API_KEY, ref.key, "spec.template.engine.model.apiKey"))
        for server in engine.model.mcp_servers:
            if server.headers_secret_ref is not None:
                field = f"spec.template.engine.model.mcpServers[{server.name}].headersSecretRef"
                uses.append(Use(server.headers_secret_ref.name, SecretFiles.mcp_headers(server.name), None, field))
    if engine.endpoint is not None:
        if engine.endpoint.headers_secret_ref is not None:
            name = engine.endpoint.headers_secret_ref.name
            uses.append(Use(name, SecretFiles.ENGINE_HEADERS, None, "spec.template.engine.endpoint.headersSecretRef"))
        if engine.endpoint.signing_secret is not None:
            signing = engine.endpoint.signing_secret.secret_ref
            field = "spec.template.engine.endpoint.signingSecret"
            uses.append(Use(signing.name, SecretFiles.ENGINE_SIGNING_SECRET, signing.key, field))
    return uses


def log_uses(log: ConversationLogSpec) -> list[Use]:
    """The Secret that the conversation log needs."""
    if log.postgres is None:
        return []
    ref = log.postgres.secret_ref
    return [Use(ref.name, SecretFiles.LOG_DSN, ref.key, "spec.conversationLog.postgres")]


def connector_use(connector: str, secret: str) -> Use:
    """A connector's credentials. Not required of the Agent: the connector says itself what is wrong with them."""
    path = f"connectors/{connector}"
    return Use(secret, path, None, f"twilioconnector/{connector}", SecretFiles.CONNECTOR_KEYS, required=False)


def problem(uses: Iterable[Use], secrets: Secrets, namespace: str) -> Problem | None:
    """The first thing that is wrong with the Secrets that are required."""
    for use in uses:
        if not use.required:
            continue
        facts = secrets.get(use.secret)
        if facts is None:
            return Problem(
                "SecretMissing",
                f"{use.field} refers to the Secret {use.secret}, which does not exist. Create it, with the label "
                f"{LABEL_USE}=true.",
                Mend.ARRIVE,
            )
        if not facts.allowed:
            return not_allowed(use.field, use.secret, namespace)
        if use.key is not None and use.key not in facts.keys:
            return Problem(
                "SecretMissing",
                f"{use.field} refers to the key {use.key} of the Secret {use.secret}, which has no such key. Add it.",
                Mend.ARRIVE,
            )
    return None


def not_allowed(field: str, secret: str, namespace: str) -> Problem:
    """The Secret is not labelled for use; the message holds the command that labels it."""
    return Problem(
        SECRET_NOT_ALLOWED,
        f"{field} refers to the Secret {secret}, which is not labelled for use. If it is meant for Switchboard, run: "
        f"kubectl label secret {secret} {LABEL_USE}=true -n {namespace}",
        Mend.ARRIVE,
    )


def sources(uses: Sequence[Use], secrets: Secrets) -> list[dict[str, object]]:
    """The `sources` of the projected volume: each key by name and optional; nothing of a Secret that is not allowed."""
    result: list[dict[str, object]] = []
    for use in uses:
        facts = secrets.get(use.secret)
        if facts is None or not facts.allowed:
            continue
        if use.key is not None:
            items = [{"key": use.key, "path": use.path}]
        else:
            # A connector's optional keys are always named: one that is added later is then mounted without a roll.
            keys = use.keys or tuple(sorted(facts.keys))
            items = [{"key": key, "path": f"{use.path}/{key}"} for key in keys]
        if items:
            result.append({"secret": {"name": use.secret, "items": items, "optional": True}})
    return result
