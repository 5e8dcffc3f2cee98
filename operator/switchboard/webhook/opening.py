"""Opens the conversation log that the Agent asks for."""

from __future__ import annotations

from pathlib import Path

from switchboard.api.runtime import SecretFiles, WebhookConfig
from switchboard.kube.client import KubeApi
from switchboard.log.errors import LogMisconfigured
from switchboard.log.protocol import ConversationLog


def open_log(config: WebhookConfig, secrets: Path, kube: KubeApi) -> ConversationLog:
    """The log, not started yet.

    Raises:
        LogMisconfigured: the connection string is missing.
    """
    raise NotImplementedError


def read_dsn(secrets: Path) -> str:
    """The database's connection string.

    Raises:
        LogMisconfigured: the Secret has no such key, or it is empty.
    """
    path = secrets / SecretFiles.LOG_DSN
    try:
        dsn = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        dsn = ""
    if not dsn:
        raise LogMisconfigured(
            "conversationLog.postgres.secretRef: the Secret or its key is missing or empty; "
            "it must hold postgresql://user:password@host/database"
        )
    return dsn
