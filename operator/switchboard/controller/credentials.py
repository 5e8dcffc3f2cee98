"""A connector's credentials: read, judged, and the last valid ones remembered."""

from __future__ import annotations

import base64

from switchboard.api.connector import TwilioConnector
from switchboard.api.meta import LABEL_USE
from switchboard.api.reasons import ConnectorReason
from switchboard.api.runtime import SecretFiles
from switchboard.controller.accounts import credentials_of
from switchboard.controller.queue import Key
from switchboard.controller.secrets import SecretReader, allowed, value, version_of
from switchboard.providers.errors import AccountUnusableError, ProviderError, UnavailableError
from switchboard.providers.twilio.credentials import Credentials
from switchboard.reconcile.outcome import Mend, Problem
from switchboard.reconcile.secrets import not_allowed

FIELD = "spec.credentials.secretRef"


class CredentialsBook:
    """Credentials by connector. Values stay in memory and go to Twilio only."""

    def __init__(self, secrets: SecretReader) -> None:
        self._secrets = secrets
        self._read: dict[tuple[str, str], tuple[str, Credentials]] = {}
        self._valid: dict[Key, dict[str, tuple[Credentials, str]]] = {}

    async def of(self, connector: TwilioConnector) -> Credentials | Problem:
        """What the connector's Secret holds, or what is wrong with it."""
        namespace, name = connector.metadata.namespace, connector.spec.credentials.secret_ref.name
        known = self._read.get((namespace, name))
        if known is not None and self._secrets.version(namespace, name) == known[0]:
            return known[1]
        obj = await self._secrets.read(namespace, name)
        if obj is None:
            message = (
                f"{FIELD} names the Secret {name}, which does not exist. Create it: kubectl create secret generic "
                f"{name} --from-literal=accountSid=AC… --from-literal=authToken=… -n {namespace} && "
                f"kubectl label secret {name} {LABEL_USE}=true -n {namespace}"
            )
            return Problem(ConnectorReason.CREDENTIALS_MISSING, message, Mend.ARRIVE)
        if not allowed(obj):
            return not_allowed(FIELD, name, namespace)
        data = obj.get("data") or {}
        for key in ("accountSid", "authToken"):
            if not data.get(key):
                message = f"The Secret {name} has no {key}. Add it: both accountSid and authToken are needed."
                return Problem(ConnectorReason.CREDENTIALS_MISSING, message, Mend.ARRIVE)
        values: dict[str, str] = {}
        try:
            values |= {key: value(obj, key) for key in SecretFiles.CONNECTOR_KEYS}
            credentials = credentials_of(values)
        except ValueError as error:
            message = f"The Secret {name} cannot be used: {error}.{_instead(values.get('accountSid', ''))}"
            return Problem(ConnectorReason.CREDENTIALS_INVALID, message)
        self._read[namespace, name] = (version_of(obj), credentials)
        return credentials

    def version(self, connector: TwilioConnector) -> str | None:
        """The version of the connector's Secret as it was last read."""
        known = self._read.get((connector.metadata.namespace, connector.spec.credentials.secret_ref.name))
        return known[0] if known is not None else None

    def worked(self, key: Key, credentials: Credentials, base_url: str) -> None:
        """Remembers credentials that Twilio took, for the connector's end."""
        self._valid.setdefault(key, {})[credentials.account_sid] = (credentials, base_url)

    def remembered(self, key: Key, account: str) -> tuple[Credentials, str] | None:
        """The last credentials of an account that worked for a connector, and where."""
        return self._valid.get(key, {}).get(account)

    def forget(self, key: Key) -> None:
        """A connector is gone."""
        self._valid.pop(key, None)


def problem_of(error: ProviderError, secret: str) -> Problem:
    """What a connector says when Twilio refused."""
    if isinstance(error, UnavailableError):
        return Problem(ConnectorReason.TWILIO_UNAVAILABLE, f"{error} It is tried again.", Mend.WAIT)
    if isinstance(error, AccountUnusableError):
        return Problem(ConnectorReason.ACCOUNT_SUSPENDED, str(error))
    message = f"{error.sentence} Check accountSid and authToken in the Secret {secret}."
    if error.status in (401, 403, 404):
        return Problem(ConnectorReason.CREDENTIALS_INVALID, message)
    return Problem(ConnectorReason.REJECTED, str(error))


def _instead(sid: str) -> str:
    """What usually stands where an account's SID should."""
    if sid.startswith("SK"):
        return " It is an API key's SID: that goes into apiKeySid, and its secret into apiKeySecret."
    try:
        decoded = base64.b64decode(sid, validate=True)
    except ValueError:
        return ""
    twice = " It is base64 once too often: a Secret's data is base64, and its stringData is plain."
    return twice if decoded.strip().startswith(b"AC") else ""
