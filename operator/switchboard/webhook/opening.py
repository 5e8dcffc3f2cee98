"""Opens the conversation log that the Agent asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from switchboard.api.runtime import CONTACTS_KEY, CONTACTS_SECRET, SecretFiles, WebhookConfig
from switchboard.log.errors import LogMisconfigured

if TYPE_CHECKING:
    from switchboard.kube.client import KubeApi
    from switchboard.log.protocol import ConversationLog


def open_log(config: WebhookConfig, secrets: Path, kube: KubeApi) -> ConversationLog:
    """The log, not started yet.

    Raises:
        LogMisconfigured: the connection string, or the key of contacts' names, is missing.
    """
    if config.conversation_log.backend == "Postgres":
        from switchboard.log.postgres import PostgresLog

        return PostgresLog(read_dsn(secrets), namespace=config.namespace, agent=config.agent)
    from switchboard.log.resources import ResourcesLog

    return ResourcesLog(
        kube,
        namespace=config.namespace,
        agent=config.agent,
        key=read_contact_key(secrets),
        max_messages=config.conversation_log.max_messages,
    )


async def prepare(config: WebhookConfig, secrets: Path) -> None:
    """Checks the log's database, and migrates it if need be; custom resources need a key only.

    Raises:
        LogError: it cannot be used; the sentence says what to mend.
    """
    if config.conversation_log.backend == "Postgres":
        from switchboard.log.postgres import migrate

        await migrate(read_dsn(secrets))
    read_contact_key(secrets)


def read_contact_key(secrets: Path) -> bytes:
    """What keys the names that stand for contacts.

    Raises:
        LogMisconfigured: it is not there, or empty.
    """
    try:
        key = (secrets / SecretFiles.CONTACT_KEY).read_bytes().strip()
    except OSError:
        key = b""
    if not key:
        raise LogMisconfigured(
            f"the Secret {CONTACTS_SECRET} or its key {CONTACTS_KEY} is missing or empty; "
            "delete the Secret, and the operator makes another"
        )
    return key


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
