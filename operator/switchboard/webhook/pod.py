"""A webhook pod: its parts, put together, started and stopped."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from switchboard.api.runtime import WebhookConfig
from switchboard.kube.client import KubeApi
from switchboard.log.errors import LogUnavailable
from switchboard.log.protocol import ConversationLog
from switchboard.providers.twilio.api import TwilioConnections
from switchboard.settings import WebhookSettings
from switchboard.webhook.backfill import Backfill
from switchboard.webhook.connectors import Connectors
from switchboard.webhook.deliveries import Deliveries
from switchboard.webhook.drain import Drain
from switchboard.webhook.events import Events
from switchboard.webhook.health import Health
from switchboard.webhook.intake import Desk
from switchboard.webhook.late import LateEngine
from switchboard.webhook.limits import RateLimiter
from switchboard.webhook.live import Live
from switchboard.webhook.media import Bounds
from switchboard.webhook.onboarding import Onboarding
from switchboard.webhook.receiving import Receiver
from switchboard.webhook.requests import Decisions
from switchboard.webhook.retention import Retention
from switchboard.webhook.sending import Sender
from switchboard.webhook.server import Listener
from switchboard.webhook.tasks import Supervisor
from switchboard.webhook.turns import Runner
from switchboard.webhook.worker import Worker

log = logging.getLogger(__name__)

REFRESH_SECONDS = 10.0
"""Between two readings of the mounted credentials; a refused signature has them read at once."""


class Pod:
    """One process that receives and answers for a revision."""

    def __init__(
        self,
        settings: WebhookSettings,
        config: WebhookConfig,
        *,
        kube: KubeApi,
        conversations: ConversationLog,
        engine: LateEngine,
        contact_key: bytes,
    ) -> None:
        self._settings = settings
        self._config = config
        self._log = conversations
        self._engine = engine
        self._connections = TwilioConnections(timeout=settings.send_seconds)
        self._supervisor = Supervisor()
        self._started = False
        self.connectors = Connectors(config, settings.secrets, self._connections)
        decisions = Decisions()
        self.live = Live(kube, config, connectors=self.connectors, decisions=decisions)
        limiter = RateLimiter(burst=settings.contact_burst, per_second=settings.contact_per_minute / 60)
        desk = Desk(conversations, self.connectors, decisions, limiter)
        self._onboarding = Onboarding(
            kube,
            conversations,
            self.connectors,
            decisions,
            namespace=config.namespace,
            key=contact_key,
            agent=config.agent,
            revision=lambda: self.live.live_revision or config.revision,
        )
        self._receiver = Receiver(self.connectors, desk, conversations, self._onboarding.ask)
        events = Events(kube, config.namespace, settings.pod_name)
        self._worker = self._make_worker(self._make_runner(decisions), self._make_sender(events))
        keep = timedelta(days=config.conversation_log.retention.days)
        self._backfill = self._make_backfill(desk, keep)
        self._retention = Retention(conversations, keep, lambda: self.live.live)
        self._drain = Drain(
            kube,
            conversations,
            namespace=config.namespace,
            revision=config.revision,
            live=lambda: self.live.live_revision,
            running=lambda: self._worker.running,
        )
        self._health = Health(self._alive, self._unready)
        self._public = Listener(self._receiver.handle, settings.host, settings.port, post=self._receiver.post)
        self._private = Listener(self._health.handle, settings.host, settings.health_port)
        self._receiver.accepting = lambda: self._started
        self._receiver.on_doubt = self._backfill.doubt
        self.live.on_live = self._on_live
        self.connectors.on_change = self._on_connectors

    def _make_runner(self, decisions: Decisions) -> Runner:
        settings, template = self._settings, self._config.template
        return Runner(
            engine=self._engine,
            kind=template.engine.kind,
            revision=self._config.revision,
            bounds=template.turn,
            media=Bounds(
                file_bytes=settings.media_bytes,
                turn_bytes=settings.media_turn_bytes,
                types=tuple(settings.media_types),
                seconds=settings.media_seconds,
            ),
            replies_per_hour=settings.replies_per_hour,
            conversations=self._log,
            connectors=self.connectors,
            decisions=decisions,
        )

    def _make_sender(self, events: Events) -> Sender:
        return Sender(
            self._log,
            self.connectors,
            seconds=self._settings.send_seconds,
            most_attempts=self._settings.send_attempts,
            tell=events.delivery_unknown,
            resend=self._config.template.turn.resend_unknown,
        )

    def _make_worker(self, runner: Runner, sender: Sender) -> Worker:
        return Worker(
            self._log,
            runner,
            sender,
            holder=self._settings.pod_name,
            revision=self._config.revision,
            live=lambda: self.live.live,
            concurrency=self._config.template.webhook.concurrency,
            lease_seconds=self._settings.lease_seconds,
        )

    def _make_backfill(self, desk: Desk, keep: timedelta) -> Backfill:
        settings = self._settings
        return Backfill(
            self._log,
            self.connectors,
            desk,
            holder=settings.pod_name,
            lease_seconds=2 * settings.lease_seconds,
            interval=settings.backfill_seconds,
            settling=timedelta(seconds=settings.settling_seconds),
            missed=timedelta(seconds=settings.missed_seconds),
            retention=keep,
            ask=self._onboarding.ask,
            live=lambda: self.live.live,
            deliveries=Deliveries(self._log, [timedelta(seconds=age) for age in settings.delivery_ages]),
        )

    def _on_connectors(self) -> None:
        self._onboarding.reconsider()
        self._backfill.look()

    def _on_live(self) -> None:
        self._worker.look()
        self._drain.look()
        self._backfill.look()

    def _alive(self) -> list[str]:
        problems = [f"the task {name!r} has ended" for name in self._supervisor.dead]
        if self._worker.stuck:
            problems.append("the worker waits for a turn that the conversation log neither gives nor refuses")
        return problems

    def _unready(self) -> list[str]:
        problems = [f"{resource} were not listed yet" for resource in sorted(self.live.unsynced)]
        if not self._started:
            problems.append("not started yet")
        elif not self._log.ready:
            problems.append("the conversation log does not answer")
        return problems

    async def start(self) -> None:
        """Listens at once, serves as soon as all is read that a request needs, and answers once the engine is built.

        Raises:
            EngineMisconfigured: the engine cannot be built.
            OSError: a port is taken.
            SchemaMismatch, LogMisconfigured: the log can never work as it is configured.
        """
        port, health_port = await self._public.start(), await self._private.start()
        log.info("listening", extra={"port": port, "health_port": health_port})
        watching = self._supervisor.start
        watching("agent", self.live.watch_agent)
        watching("connectors", self.live.watch_connectors)
        watching("requests", self.live.watch_requests)
        await self._open()
        await self.live.synced.wait()
        self._started = True
        self._supervisor.start("credentials", self._refresh)
        self._supervisor.start("onboarding", self._onboarding.run)
        self._supervisor.start("backfill", self._backfill.run)
        self._supervisor.start("retention", self._retention.run)
        self._supervisor.start("drain", self._drain.run)
        log.info(
            "serving", extra={"port": port, "health_port": health_port, "connectors": len(self.connectors.by_name)}
        )
        await self._engine.open()
        self._supervisor.start("wake-ups", self._worker.listen)
        self._supervisor.start("worker", self._worker.run)
        self._worker.look()

    async def _open(self) -> None:
        pause = 0.2
        while True:
            try:
                return await self._log.start()
            except LogUnavailable as error:
                log.warning("the conversation log is away, trying again", extra={"error": str(error)})
            await asyncio.sleep(pause)
            pause = min(5.0, pause * 2)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            self.connectors.refresh()

    async def stop(self) -> None:
        """Takes no new turn; requests for as long as the route may still lead here; lets what runs end."""
        settings = self._settings
        self._health.draining = True
        log.info("stopping", extra={"turns": self._worker.running})
        turns = max(settings.shutdown_seconds - settings.send_seconds, settings.shutdown_seconds / 2)
        await asyncio.gather(self._worker.stop(turns), self._close_later())
        await self.close()
        log.info("stopped")

    async def _close_later(self) -> None:
        await asyncio.sleep(min(self._settings.drain_seconds, self._settings.shutdown_seconds))
        await self._public.stop()

    async def close(self) -> None:
        """Lets go of all there is."""
        await self._supervisor.stop()
        await self._public.stop()
        await self._private.stop()
        await self._connections.close()
