"""`switchboard webhook serve`."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal

from switchboard.engines import EngineMisconfigured, build
from switchboard.kube.access import AccessError
from switchboard.kube.client import connect
from switchboard.log.errors import LogError
from switchboard.settings import WebhookSettings
from switchboard.telemetry import traces
from switchboard.telemetry.traces import TracesMisconfigured
from switchboard.webhook import opening
from switchboard.webhook.config import ConfigError, fail, load
from switchboard.webhook.late import LateEngine
from switchboard.webhook.pod import Pod

log = logging.getLogger(__name__)

_YOUNG = 10_000
"""Objects that are made before garbage is looked for: a message makes some hundred, all gone when it is answered."""

_Fatal = (ConfigError, EngineMisconfigured, AccessError, LogError, TracesMisconfigured, OSError)


async def serve(settings: WebhookSettings) -> int:
    """Receives and answers until SIGTERM or SIGINT.

    Returns:
        0; 1 if it cannot serve, with one sentence in the log and the termination log.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        traces.configure("switchboard-webhook")
        config = load(settings.config)
        engine = LateEngine(lambda: build(config.template.engine, secrets=settings.secrets))
        kube = await connect(user_agent="switchboard-webhook")
        conversations = opening.open_log(config, settings.secrets, kube)
        key = opening.read_contact_key(settings.secrets)
        pod = Pod(settings, config, kube=kube, conversations=conversations, engine=engine, contact_key=key)
    except _Fatal as error:
        return fail(settings, str(error))
    try:
        starting = asyncio.ensure_future(pod.start())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            gc.collect()
            gc.freeze()  # what lives as long as the process is not looked through again and again
            gc.set_threshold(_YOUNG, 20, 20)
            await stopping
        starting.cancel()
        await pod.stop()
    except _Fatal as error:
        return fail(settings, str(error))
    finally:
        await pod.close()
        await conversations.close()
        await engine.close()
        await kube.close()
        await asyncio.to_thread(traces.shut_down)
    return 0
