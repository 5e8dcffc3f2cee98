"""The key under which contacts are made unrecognizable in names."""

from __future__ import annotations

import logging
from pathlib import Path

from switchboard.api.runtime import SecretFiles

log = logging.getLogger(__name__)


def contact_key(secrets: Path, agent_uid: str) -> bytes:
    """The namespace's key; without one the Agent's uid, which who may read Agents knows."""
    try:
        key = (secrets / SecretFiles.CONTACT_KEY).read_bytes()
    except OSError:
        key = b""
    if len(key) >= 16:
        return key
    log.info("no contact key is mounted: names of conversations are keyed by the Agent's uid")
    return agent_uid.encode()
