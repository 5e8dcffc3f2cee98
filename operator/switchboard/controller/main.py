"""The operator's process: leads or stands by, watches, reconciles, ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

from switchboard.api.connector import TwilioConnector
from switchboard.controller import metrics
from switchboard.controller.accounts import Accounts
from switchboard.controller.agents import AgentReconciler
from switchboard.controller.applying import Applier
from switchboard.controller.claims import Claims
from switchboard.controller.connectors import ConnectorReconciler
from switchboard.controller.context import AGENT, CONNECTOR, Context
from switchboard.controller.health import Health
from switchboard.controller.lease import Leadership, Lease, LeaseLost
from switchboard.controller.queue import Key, Queue
from switchboard.controller.secrets import SecretReader
from switchboard.controller.store import Store
from switchboard.controller.watches import Watches
from switchboard.kube import resources
from switchboard.kube.client import KubeApi, connect
from switchboard.kube.errors import KubeError, NotFound
from switchboard.providers.twilio.api import TwilioConnections
from switchboard.settings import OperatorSettings

log = logging.getLogger(__name__)

STUCK_SECONDS = 120.0
"""How long one object may take, or the queue may stand still, before the process counts as dead."""
BROKEN = 1
"""Exit code when a watch or the queue ended, as when the CustomResourceDefinitions were deleted."""
LEASE_LOST = 3
"""Exit code when another operator took over: the pod is started anew and stands by."""


async def run(settings: OperatorSettings) -> int:
    """Runs the operator until SIGTERM or SIGINT, or until the Lease is lost; gives the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as parts:
        api = await parts.enter_async_context(await _connect(settings))
        health = Health()
        parts.push_async_callback(health.close)
        try:
            await health.start(settings.health_port, settings.health_host)
        except OSError as error:
            where = f"{settings.health_host}:{settings.health_port}"
            log.error("SWITCHBOARD_HEALTH_PORT: cannot be listened on", extra={"address": where, "error": str(error)})  # noqa: TRY400 - no trace
            return BROKEN
        leadership = _leadership(api, settings)
        health.ready = settings.lease_namespace is not None  # one that stands by is ready to take over
        log.info("the operator starts", extra={"health_port": health.port, "namespaces": settings.namespaces or "all"})
        if not await _first(leadership.acquire(), stop):
            return 0
        parts.push_async_callback(leadership.release)
        return await _lead(settings, api, health, leadership, stop)


async def _connect(settings: OperatorSettings) -> KubeApi:
    return await connect(user_agent="switchboard-operator", request_seconds=settings.request_seconds)


def _identity(settings: OperatorSettings) -> str:
    return settings.identity or f"{socket.gethostname()}_{os.getpid()}"


def _leadership(api: KubeApi, settings: OperatorSettings) -> Leadership:
    if settings.lease_namespace is None:
        return Leadership()
    return Lease(
        api,
        namespace=settings.lease_namespace,
        name=settings.lease_name,
        identity=_identity(settings),
        seconds=settings.lease_seconds,
    )


async def _first(work: Awaitable[object], stop: asyncio.Event) -> bool:
    """Whether `work` ended before `stop` was set."""
    task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    done = task.done()
    for other in (task, stopping):
        other.cancel()
    if done:
        task.result()
    return done


async def _lead(
    settings: OperatorSettings, api: KubeApi, health: Health, leadership: Leadership, stop: asyncio.Event
) -> int:
    _spare_the_collector()
    store = Store()
    connections = TwilioConnections()
    twilio = Accounts(connections)

    async def process(key: Key) -> float | None:
        leadership.check()
        return await reconcilers[key.kind](key)

    queue = Queue(process, workers=settings.workers, first=lambda key: key.kind == AGENT)
    context = Context(
        api=api,
        store=store,
        applier=Applier(api, store, instance=_identity(settings)),
        secrets=SecretReader(api),
        claims=Claims(),
        leadership=leadership,
        settings=settings,
        enqueue=queue.add,
        busy=lambda: queue.busy,
    )
    agents = AgentReconciler(context)
    reconcilers: dict[str, Callable[[Key], Awaitable[float | None]]] = {
        AGENT: agents.reconcile,
        CONNECTOR: ConnectorReconciler(context, twilio).reconcile,
    }
    watches = Watches(context)
    health.stuck = lambda: queue.stuck(STUCK_SECONDS)
    health.gather = lambda: metrics.count_connectors(store.all(resources.TWILIO_CONNECTORS))
    async with AsyncExitStack() as parts:
        parts.push_async_callback(connections.close)
        parts.push_async_callback(agents.instructions.close)
        lost = await parts.enter_async_context(_task(leadership.keep(), "lease"))
        if not await _first(_until_listed(watches), stop):
            return 0
        for key_, connector in _connectors(store):
            context.claims.recall(key_, connector)
        working: list[asyncio.Future[object]] = [
            await parts.enter_async_context(_task(work, "watch")) for work in watches.work()
        ]
        stopping = await parts.enter_async_context(_task(stop.wait(), "stop"))
        synced = await parts.enter_async_context(_task(watches.synced.wait(), "synced"))
        # A watch that ends before all is listed would otherwise leave a process that lives and does nothing.
        await asyncio.wait([lost, stopping, synced, *working], return_when=asyncio.FIRST_COMPLETED)
        if synced.done():
            working.append(await parts.enter_async_context(_task(queue.run(), "queue")))
            health.ready = True
            log.info("the operator works")
            await asyncio.wait([lost, stopping, *working], return_when=asyncio.FIRST_COMPLETED)
            health.ready = False
        if lost.done() and not stop.is_set():
            return LEASE_LOST
        for task in working:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                log.error("the operator cannot go on, ends, and has to be started anew", exc_info=error)
                return BROKEN
        log.info("the operator ends")
    return 0


def _spare_the_collector() -> None:
    """What was imported stays for good, and objects come and go by the thousand without cycles: looking through all of
    it as often as the defaults have it took a tenth of the operator's CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


@contextlib.asynccontextmanager
async def _task(work: Awaitable[object], name: str) -> AsyncIterator[asyncio.Future[object]]:
    """A task that is cancelled and awaited at the end."""
    task = asyncio.ensure_future(work)
    if isinstance(task, asyncio.Task):
        task.set_name(name)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LeaseLost):
            await asyncio.gather(task, return_exceptions=True)


async def _until_listed(watches: Watches) -> None:
    """Lists our kinds; waits for the CRDs and for the API server."""
    pause = 0.2
    while True:
        try:
            await watches.load()
        except NotFound as error:
            log.warning("the CustomResourceDefinitions are not installed yet", extra={"error": str(error)})
        except KubeError as error:
            log.warning("the API server does not answer yet", extra={"error": str(error)})
        else:
            return
        await asyncio.sleep(pause)
        pause = min(pause * 2, 5.0)


def _connectors(store: Store) -> list[tuple[Key, TwilioConnector]]:
    """All connectors, oldest first: where two statuses claim the same, the elder has it."""
    found = []
    for obj in store.all(resources.TWILIO_CONNECTORS):
        connector = store.read(TwilioConnector, resources.TWILIO_CONNECTORS, obj)
        if connector is not None:
            found.append((Key(CONNECTOR, connector.metadata.namespace, connector.metadata.name), connector))
    return sorted(found, key=lambda pair: (str(pair[1].metadata.creation_timestamp), pair[0]))
