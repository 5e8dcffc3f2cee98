"""Secrets, read by name. Their values stay here and in the Twilio client, and go nowhere else."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from switchboard.api.meta import LABEL_USE
from switchboard.kube.client import KubeApi
from switchboard.kube.errors import NotFound
from switchboard.kube.resources import SECRETS, Object
from switchboard.reconcile.secrets import SecretFacts


class SecretReader:
    """Reads Secrets by name, and again only when their version is a new one.

    The versions come from a watch of the metadata of those that are labelled for use; one that is not labelled is read
    each time that it is asked for.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._versions: dict[tuple[str, str], str] = {}
        self._facts: dict[tuple[str, str], SecretFacts] = {}

    def seen(self, metadata: Object) -> bool:
        """Takes in the metadata of a labelled Secret; whether it is news."""
        key, version = (metadata["namespace"], metadata["name"]), _version(metadata)
        if self._versions.get(key) == version:
            return False
        self._versions[key] = version
        return True

    def gone(self, namespace: str, name: str) -> None:
        """A Secret was deleted, or is no longer labelled."""
        self._versions.pop((namespace, name), None)
        self._facts.pop((namespace, name), None)

    def known(self, namespace: str | None) -> list[tuple[str, str]]:
        """The labelled Secrets, by namespace and name."""
        return [key for key in self._versions if namespace is None or key[0] == namespace]

    async def facts(self, namespace: str, names: Iterable[str]) -> dict[str, SecretFacts | None]:
        """What is known of Secrets, without their values."""
        return {name: await self._fact(namespace, name) for name in set(names)}

    async def _fact(self, namespace: str, name: str) -> SecretFacts | None:
        key = (namespace, name)
        known = self._facts.get(key)
        if known is not None and self._versions.get(key) == known.version:
            return known
        obj = await self.read(namespace, name)
        if obj is None:
            self._facts.pop(key, None)
            return None
        facts = SecretFacts(name, allowed(obj), frozenset(obj.get("data") or {}), _version(obj["metadata"]))
        self._facts[key] = facts
        return facts

    async def read(self, namespace: str, name: str) -> Object | None:
        """The Secret itself, or None."""
        try:
            return await self._api.get(SECRETS, name, namespace)
        except NotFound:
            return None

    def version(self, namespace: str, name: str) -> str | None:
        """The version of a labelled Secret, or None if it is not known."""
        return self._versions.get((namespace, name))


def allowed(obj: Object) -> bool:
    """Whether a Secret is labelled for use."""
    return (obj["metadata"].get("labels") or {}).get(LABEL_USE) == "true"


def value(obj: Object, key: str) -> str:
    """A key's text without white space around it; empty where there is none.

    Raises:
        ValueError: it is not text.
    """
    try:
        return base64.b64decode((obj.get("data") or {}).get(key, "")).decode().strip()
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError(f"{key}: is not text") from None


def version_of(obj: Object) -> str:
    """A Secret's version."""
    return _version(obj["metadata"])


def _version(metadata: Object) -> str:
    return f"{metadata.get('uid')}/{metadata.get('resourceVersion')}"
