"""A connector, signed requests, and logs that remember what they were told."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from switchboard.api.agent import AgentTemplate, ConversationLogSpec
from switchboard.api.connector import TwilioConnector
from switchboard.api.runtime import WebhookConfig
from switchboard.log.errors import LogError
from switchboard.log.names import inbound_name
from switchboard.log.records import DeliveryNews, DeliveryResult, Inbound, Recorded, Reply
from switchboard.providers.twilio.api import TwilioConnections
from switchboard.webhook.connectors import Connectors

ACCOUNT = "AC" + "a" * 32
TOKEN = "token-one"
OURS, ANN, BOB = "+15005550006", "+15005550001", "+15005550002"
PUBLIC = "https://agents.example.com"
PATH = "/twilio/acme/sms"


def config(**template: Any) -> WebhookConfig:
    content = {"engine": {"script": {}}, "connectors": [{"name": "sms"}], **template}
    return WebhookConfig(
        namespace="acme",
        agent="support",
        revision="support-v1",
        template=AgentTemplate.model_validate(content),
        conversation_log=ConversationLogSpec(),
        public_url=PUBLIC,
    )


def manifest(name: str = "sms", *, status: Mapping[str, Any] | None = None, **spec: Any) -> TwilioConnector:
    content = {
        "credentials": {"secretRef": {"name": "twilio"}},
        "fromNumber": OURS,
        "channels": ["SMS", "WhatsApp"],
        **spec,
    }
    metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return TwilioConnector.model_validate({"metadata": metadata, "spec": content, "status": status or {}})


def write_secret(secrets: Path, name: str = "sms", **values: str) -> None:
    folder = secrets / "connectors" / name
    folder.mkdir(parents=True, exist_ok=True)
    for key, value in {"accountSid": ACCOUNT, "authToken": TOKEN, **values}.items():
        (folder / key).write_text(value)


def connectors(secrets: Path, *manifests: TwilioConnector, configured: WebhookConfig | None = None) -> Connectors:
    write_secret(secrets)
    built = Connectors(configured or config(), secrets, TwilioConnections())
    built.replace(manifests or [manifest()])
    return built


def sign(url: str, parameters: Mapping[str, str], token: str = TOKEN) -> str:
    text = url + "".join(key + parameters[key] for key in sorted(parameters))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), hashlib.sha1)).decode()


def parameters(**change: str) -> dict[str, str]:
    given = {
        "MessageSid": "SM" + "1" * 32,
        "AccountSid": ACCOUNT,
        "From": ANN,
        "To": OURS,
        "Body": "Hello",
        "NumMedia": "0",
        "SmsStatus": "received",
        **change,
    }
    return {key: value for key, value in given.items() if value != "-"}


@dataclass(frozen=True)
class Post:
    """A request as Twilio makes it."""

    path: str
    body: bytes
    headers: dict[str, str]


def post(
    given: Mapping[str, str], *, path: str = PATH, url: str | None = None, token: str = TOKEN, **headers: str
) -> Post:
    signature = sign(url or PUBLIC + path, given, token)
    content = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "X-Twilio-Signature": signature}
    content |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Post(path, urlencode(given).encode(), content)


@dataclass
class Notebook:
    """The receiving part of a log: remembers, and fails when told to."""

    inbound: list[Inbound] = field(default_factory=list)
    news: list[DeliveryNews] = field(default_factory=list)
    announced: list[tuple[str, str, Reply]] = field(default_factory=list)
    released: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    error: LogError | None = None
    result: DeliveryResult = "Applied"

    async def record(self, inbound: Inbound) -> Recorded:
        if self.error is not None:
            raise self.error
        name = inbound_name(inbound.provider, inbound.account, inbound.message_id)
        duplicate = any(one.message_id == inbound.message_id for one in self.inbound)
        if not duplicate:
            self.inbound.append(inbound)
        return Recorded("c-1", name, inbound.state, duplicate, stored=inbound.state != "Refused")

    async def deliver(self, news: DeliveryNews) -> DeliveryResult:
        if self.error is not None:
            raise self.error
        self.news.append(news)
        return self.result

    async def announce(self, conversation: str, kind: str, reply: Reply, *, revision: str) -> bool:
        self.announced.append((conversation, kind, reply))
        return True

    async def release_held(self, connector: str, contact: str) -> Sequence[str]:
        self.released.append((connector, contact))
        return ["in-1"]

    async def refuse_held(self, connector: str, contact: str) -> int:
        self.refused.append((connector, contact))
        return 1
