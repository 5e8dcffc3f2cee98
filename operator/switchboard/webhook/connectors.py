"""The connectors that this revision serves, ready for a request: what the manifests, the Secrets and the route say."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from switchboard.api.agent import ConnectorRoute
from switchboard.api.connector import OPEN, TwilioConnector
from switchboard.api.hosts import host_allowed
from switchboard.api.reasons import ConditionType
from switchboard.api.runtime import OVERRIDES, WebhookConfig, message_path, status_path
from switchboard.log.records import Message
from switchboard.providers.base import Channel, OutboundMessage
from switchboard.providers.twilio.api import TwilioConnections
from switchboard.providers.twilio.client import TwilioClient
from switchboard.providers.twilio.credentials import Credentials
from switchboard.providers.twilio.inbound import format_address
from switchboard.providers.twilio.signature import SignatureCheck, SignedURL
from switchboard.webhook import credentials as secret_files
from switchboard.webhook.access import Door
from switchboard.webhook.credentials import CredentialsMissing
from switchboard.webhook.routing import Line

log = logging.getLogger(__name__)

ELSEWHERE_SECONDS, ELSEWHERE_LONGEST = 5.0, 30.0
"""What a watch is late, or a rollout's old pod goes on, as a rule; and the longest that others are left at a time what
this pod cannot do without a connector: half as long as it has been without."""
ELSEWHERE_MOST = 300.0
"""Seconds that a pod is without a connector, and others had for a turn, after which neither is late."""


@dataclass(frozen=True, slots=True)
class Connector:
    """One connector, with all that receiving and answering ask of it."""

    name: str
    """Of the TwilioConnector."""
    uid: str
    created: datetime
    registered: datetime | None
    """Since when Twilio has our webhook; None while it has not."""
    label: str
    """In metrics."""
    number: str | None
    messaging_service: str | None
    credentials: Credentials
    check: SignatureCheck
    client: TwilioClient
    api_url: str
    """Where Twilio's API is; empty: its own hosts."""
    line: Line
    door: Door
    onboarding_message: str
    max_pending: int
    paths: tuple[str, ...]
    """Request paths of its messages: as the public URL has it, and without the public URL's own path."""
    url: SignedURL
    """Where Twilio posts its messages."""
    base_url: str
    """The public URL."""
    namespace: str

    def status_url(self, attempt: str) -> str:
        """Where Twilio posts what became of `attempt`."""
        return self.base_url + status_path(self.namespace, self.name, attempt)

    def sender(self, channel: Channel) -> str | None:
        """Whom messages are from, as Twilio has it; None where a messaging service chooses."""
        if self.number is None or (channel is Channel.SMS and self.messaging_service):
            return None
        return format_address(channel, self.number)

    def outbound(self, channel: Channel, message: Message, attempt: str) -> OutboundMessage:
        """A kept reply as it is sent. SMS go through the messaging service, if there is one."""
        service = self.messaging_service if channel is Channel.SMS else None
        return OutboundMessage(
            channel=channel,
            recipient=message.recipient,
            body=message.body,
            sender=self.number or (message.sender if message.sender.startswith("+") else ""),
            service=service or "",
            status_callback=self.status_url(attempt) + OVERRIDES,
        )


class Unusable(Exception):
    """A connector cannot be served now; the message says why, for a log."""


class Connectors:
    """The revision's connectors by path and name, made anew when a manifest or a Secret changes."""

    def __init__(
        self,
        config: WebhookConfig,
        secrets: Path,
        connections: TwilioConnections,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._secrets = secrets
        self._connections = connections
        self._routes = {route.name: route for route in config.template.connectors}
        self._manifests: dict[str, TwilioConnector] = {}
        self._told: dict[str, str] = {}
        self._clock = clock
        self._missed: dict[str, float] = dict.fromkeys(self._routes, clock())
        """Since when the revision's connectors that cannot be served could not."""
        self.by_name: dict[str, Connector] = {}
        self.by_path: dict[str, Connector] = {}
        self.expected: frozenset[str] = frozenset()
        """Request paths of connectors that are this revision's and cannot be served now: Twilio shall try again."""
        self.numbers: frozenset[str] = frozenset()
        """Numbers of all connectors of the namespace: who writes from one of them is a bot."""
        self.on_change: Callable[[], None] = lambda: None

    def replace(self, manifests: Iterable[TwilioConnector]) -> None:
        """All connectors of the namespace."""
        self._manifests = {manifest.metadata.name: manifest for manifest in manifests}
        self._build()

    def put(self, manifest: TwilioConnector) -> None:
        """A new or changed connector."""
        self._manifests[manifest.metadata.name] = manifest
        self._build()

    def remove(self, name: str) -> None:
        """A connector that was deleted."""
        self._manifests.pop(name, None)
        self._build()

    def awaited(self, name: str, begun: datetime) -> float | None:
        """For how many seconds others are left what was begun then, and this pod cannot do without this connector: its
        watch is late, or it is of a rollout's old ones and has not the credentials. None: it need not be waited for,
        because it is here, or the revision does not use it, or both have waited for `ELSEWHERE_MOST`."""
        since = self._missed.get(name)
        if since is None:
            return None
        missed = self._clock() - since
        if missed >= ELSEWHERE_MOST and datetime.now(UTC) - begun >= timedelta(seconds=ELSEWHERE_MOST):
            return None
        return min(max(ELSEWHERE_SECONDS, missed / 2), ELSEWHERE_LONGEST)

    def refresh(self) -> bool:
        """Reads the credentials again; whether any is new."""
        before = {name: connector.credentials for name, connector in self.by_name.items()}
        self._build()
        return before != {name: connector.credentials for name, connector in self.by_name.items()}

    def _build(self) -> None:
        known, self.by_name, self.by_path = self.by_name, {}, {}
        expected: set[str] = set()
        for name, route in self._routes.items():
            try:
                connector = self._connector(route, known.get(name))
            except (Unusable, CredentialsMissing) as error:
                expected.update(self._paths(name))
                self._missed.setdefault(name, self._clock())
                if self._told.get(name) != str(error):
                    self._told[name] = str(error)
                    log.warning("a connector cannot be served", extra={"connector": name, "error": str(error)})
                continue
            self._told.pop(name, None)
            self._missed.pop(name, None)
            self.by_name[name] = connector
            self.by_path.update(dict.fromkeys(connector.paths, connector))
        self.expected = frozenset(expected)
        self.numbers = frozenset(
            manifest.spec.from_number for manifest in self._manifests.values() if manifest.spec.from_number
        )
        self.on_change()

    def _connector(self, route: ConnectorRoute, known: Connector | None) -> Connector:
        manifest = self._manifests.get(route.name)
        if manifest is None:
            raise Unusable(f"there is no TwilioConnector {route.name!r}")
        if manifest.status.agent not in {None, self._config.agent}:
            raise Unusable(f"it is held by the Agent {manifest.status.agent!r}")
        spec = manifest.spec
        access = spec.access or OPEN
        config = self._config
        base_url = (spec.public_url or config.public_url).rstrip("/")
        api = spec.api.base_url if spec.api else config.twilio_base_url or ""
        for field, url, own in (
            ("publicURL", spec.public_url, config.public_url),
            ("api.baseURL", spec.api and spec.api.base_url, config.twilio_base_url),
        ):
            if url and not host_allowed(url, [own], config.allowed_hosts):
                raise Unusable(f"{field}: its host is not on the operator's allow-list (SWITCHBOARD_ALLOWED_HOSTS)")
        secret = secret_files.read(self._secrets, route.name)
        if known is not None and known.credentials == secret and known.api_url == api:
            check, client = known.check, known.client
        else:
            check = SignatureCheck(secret.tokens)
            client = TwilioClient(self._connections, secret, base_url=api)
        return Connector(
            name=route.name,
            uid=manifest.metadata.uid,
            created=manifest.metadata.creation_timestamp or datetime.now(UTC),
            registered=_registered(manifest),
            label=manifest.connector_name,
            number=spec.from_number,
            messaging_service=spec.messaging_service_sid,
            credentials=secret,
            check=check,
            client=client,
            api_url=api,
            line=Line.of(
                route,
                account=secret.account_sid,
                number=spec.from_number,
                channels=spec.channels,
                by_service=spec.messaging_service_sid is not None,
            ),
            door=Door.of(access),
            onboarding_message=access.onboarding_message,
            max_pending=access.max_pending,
            paths=self._paths(route.name),
            url=_signed(base_url + message_path(config.namespace, route.name)),
            base_url=base_url,
            namespace=self._config.namespace,
        )

    def _paths(self, name: str) -> tuple[str, ...]:
        """Where a connector's messages come: below the public URL's own path, or with that cut off by a proxy."""
        manifest = self._manifests.get(name)
        base_url = (manifest.spec.public_url if manifest is not None else None) or self._config.public_url
        path = message_path(self._config.namespace, name)
        return tuple(dict.fromkeys((_path(base_url).rstrip("/") + path, path)))


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _signed(url: str) -> SignedURL:
    try:
        return SignedURL(url)
    except ValueError:
        raise Unusable(f"publicURL: {url} is no URL that Twilio could sign") from None


def _registered(manifest: TwilioConnector) -> datetime | None:
    for condition in manifest.status.conditions:
        if condition.type == ConditionType.WEBHOOK_REGISTERED and condition.status == "True":
            return condition.last_transition_time
    return None
