"""The connectors' credentials, as they are mounted: read again while the pod runs, because Secrets rotate."""

from __future__ import annotations

from pathlib import Path

from switchboard.api.runtime import SecretFiles
from switchboard.providers.twilio.credentials import Credentials

_MAX_BYTES = 4096


class CredentialsMissing(Exception):
    """A connector's credentials cannot be used yet; the message names the key and the mend, and holds no value."""


def read(secrets: Path, connector: str) -> Credentials:
    """The credentials of a connector, from the files below `secrets`.

    Raises:
        CredentialsMissing: a key is missing or malformed.
    """
    values = {key: _value(secrets / SecretFiles.connector(connector, key)) for key in SecretFiles.CONNECTOR_KEYS}
    for key in ("accountSid", "authToken"):
        if not values[key]:
            raise CredentialsMissing(f"connector {connector!r}: the Secret has no key {key!r}, or it is empty")
    try:
        return Credentials(
            account_sid=values["accountSid"],
            auth_token=values["authToken"],
            previous_auth_token=values["previousAuthToken"],
            api_key_sid=values["apiKeySid"],
            api_key_secret=values["apiKeySecret"],
        )
    except ValueError as error:
        raise CredentialsMissing(f"connector {connector!r}: {error}") from None


def _value(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialsMissing(f"{path.name}: cannot be read: {type(error).__name__}") from None
