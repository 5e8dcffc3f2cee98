"""What the operator wrote for this revision's pods."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import ValidationError

from switchboard.api.runtime import WebhookConfig
from switchboard.settings import WebhookSettings

log = logging.getLogger(__name__)


class ConfigError(Exception):
    """The configuration cannot be used. One clear sentence that names the field."""


def load(path: Path) -> WebhookConfig:
    """The configuration in a file.

    Raises:
        ConfigError: it cannot be read, or a field is missing or wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"SWITCHBOARD_CONFIG: {path} cannot be read: {reason}") from None
    try:
        return WebhookConfig.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(f"{path}: {field}: {first['msg']}") from None


def fail(settings: WebhookSettings, sentence: str) -> int:
    """Says in the log and in the termination log, which the operator reads, why the process ends. 1, its exit code."""
    log.error(sentence)
    try:
        settings.termination_log.write_text(sentence + "\n", encoding="utf-8")
    except OSError:
        log.debug("there is no termination log", extra={"path": str(settings.termination_log)})
    return 1
