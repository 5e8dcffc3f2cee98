"""`switchboard webhook check`: what a pod runs before it serves.

Every pod waits for it, so it loads no HTTP library and no Kubernetes client.
"""

from __future__ import annotations

import logging

from switchboard.engines import Engine, EngineMisconfigured, build
from switchboard.log.errors import LogError
from switchboard.settings import WebhookSettings
from switchboard.webhook.config import ConfigError, fail, load
from switchboard.webhook.opening import prepare

log = logging.getLogger(__name__)


async def check(settings: WebhookSettings) -> int:
    """Proves that `serve` can work: builds the engine, and prepares the conversation log.

    Returns:
        0; 1 if it cannot, with one sentence in the log and the termination log.
    """
    engine: Engine | None = None
    try:
        config = load(settings.config)
        engine = build(config.template.engine, secrets=settings.secrets)
        await engine.check()
        await prepare(config, settings.secrets)
    except (ConfigError, EngineMisconfigured, LogError, OSError) as error:
        return fail(settings, str(error))
    finally:
        if engine is not None:
            await engine.close()
    log.info("the revision can serve", extra={"revision": config.revision})
    return 0
