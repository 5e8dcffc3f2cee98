"""Opens the conversation log that the Agent asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from switchboard.api.runtime import SecretFiles, WebhookConfig
from switchboard.log.errors import LogMisconfigured

if TYPE_CHECKING:
    from switchboard.kube.client import KubeApi
    from switchboard.log.protocol import ConversationLog


def open_log(config: WebhookConfig, secrets: Path, kube: KubeApi) -> ConversationLog:
    """The log, not started yet.

    Raises:
        LogMisconfigured: the connection string is missing.
    """
    if config.conversation_log.backend == "Postgres":
        from switchboard.log.postgres import PostgresLog

        return PostgresLog(read_dsn(secrets), namespace=config.namespace, agent=config.agent)
    from switchboard.log.resources import ResourcesLog

    return ResourcesLog(
        kube,
        namespace=config.namespace,
        agent=config.agent,
        key=(config.contact_key or config.agent_uid).encode(),
        max_messages=config.conversation_log.max_messages,
    )


async def prepare(config: WebhookConfig, secrets: Path) -> None:
    """Checks the log's database, and migrates it if need be; custom resources need nothing.

    Raises:
        LogError: it cannot be used; the sentence says what to mend.
    """
    if config.conversation_log.backend == "Postgres":
        from switchboard.log.postgres import migrate

        await migrate(read_dsn(secrets))


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
