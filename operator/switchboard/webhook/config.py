"""What the operator wrote for this revision's pods."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from switchboard.api.runtime import WebhookConfig


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
