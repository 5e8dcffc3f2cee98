"""The Secret that keys the names of contacts, and how pods get it."""

from __future__ import annotations

import base64
import secrets

from switchboard.api.runtime import CONTACTS_KEY, CONTACTS_SECRET, SecretFiles

KEY_BYTES = 32


def secret(namespace: str) -> dict[str, object]:
    """A new one, with a random key. It has no owner, because conversations outlive their Agents, and cannot be changed:
    with another key every contact would be a new one. It carries no label for use: nothing may refer to it."""
    key = secrets.token_hex(KEY_BYTES).encode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": CONTACTS_SECRET,
            "namespace": namespace,
            "labels": {
                "app.kubernetes.io/name": "switchboard",
                "app.kubernetes.io/managed-by": "switchboard-operator",
            },
        },
        "type": "Opaque",
        "immutable": True,
        "data": {CONTACTS_KEY: base64.b64encode(key).decode()},
    }


def source() -> dict[str, object]:
    """Of the pods' projected volume. Not optional: without it a pod would call its contacts by other names."""
    items = [{"key": CONTACTS_KEY, "path": SecretFiles.CONTACT_KEY}]
    return {"secret": {"name": CONTACTS_SECRET, "items": items}}
