"""What the operator hands to a revision's pods: the contract between the two processes.

The operator writes it as JSON into a ConfigMap that is mounted at `CONFIG_PATH`; secrets are projected, file by file,
below `SECRETS_PATH`. What may change while the pods run (access, numbers, which revision is live) stands in the
resources themselves, which the pods watch.
"""

from __future__ import annotations

from switchboard.api.agent import AgentTemplate, ConversationLogSpec
from switchboard.api.meta import Model

CONFIG_PATH = "/etc/switchboard/config/webhook.json"
SECRETS_PATH = "/etc/switchboard/secrets"

HTTP_PORT = 8080
"""Twilio's webhooks: what the public route leads to."""
HEALTH_PORT = 8081
"""/livez, /readyz and /metrics: never public."""
HTTP_PORT_NAME = "http"
HEALTH_PORT_NAME = "health"


OVERRIDES = "#ct=2000&rt=3000&rc=5&rp=ct,rt,5xx"
"""Connection overrides of every URL that Twilio posts to. By default it tries again only what it could not connect to.

Without a shorter read time-out, its 15 seconds leave none to try again.
https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""


def message_path(namespace: str, connector: str) -> str:
    """The path below the public URL where Twilio posts a connector's messages."""
    return f"/twilio/{namespace}/{connector}"


def status_path(namespace: str, connector: str, attempt: str) -> str:
    """The path below the public URL where Twilio posts what became of one attempt to send."""
    return f"{message_path(namespace, connector)}/status/{attempt}"


CONTACTS_SECRET = "switchboard-contacts"  # noqa: S105 - a name
"""The Secret of a namespace that keys the names which stand for contacts, the same for all its pods."""
CONTACTS_KEY = "key"


class SecretFiles:
    """Paths below `SECRETS_PATH`. Only the keys that are named here are mounted."""

    CONTACT_KEY = "contacts/key"
    """Keys the HMAC that stands for a contact in names: whoever has it not cannot try numbers until a name fits."""
    LOG_DSN = "log/dsn"
    ENGINE_API_KEY = "engine/api-key"
    ENGINE_SIGNING_SECRET = "engine/signing-secret"  # noqa: S105 - a path
    ENGINE_HEADERS = "engine/headers"
    """A directory: a file a header, named as the header."""
    CONNECTOR_KEYS = ("accountSid", "authToken", "previousAuthToken", "apiKeySid", "apiKeySecret")

    @staticmethod
    def connector(name: str, key: str) -> str:
        """One key of a connector's credentials."""
        return f"connectors/{name}/{key}"

    @staticmethod
    def mcp_headers(name: str) -> str:
        """A directory: a file a header of one MCP server, named as the header."""
        return f"mcp/{name}"


class WebhookConfig(Model):
    """All that a revision's pods know at their start."""

    namespace: str
    """Where Agent, connectors and conversations are."""
    agent: str
    """The Agent."""
    revision: str
    """The AgentRevision that these pods run."""
    template: AgentTemplate
    """What it does."""
    conversation_log: ConversationLogSpec
    """Where conversations are kept, defaults applied."""
    public_url: str
    """The operator's public URL, for connectors that name none."""
    twilio_base_url: str | None = None
    """Where Twilio's API is reached by connectors that do not say. None: Twilio's own hosts."""
    allowed_hosts: list[str] = []
    """Hosts that a connector's `publicURL` and `api.baseURL` may name besides."""
