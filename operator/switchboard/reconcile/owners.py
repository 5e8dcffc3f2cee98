"""Whose an object is: its controller's, by uid. What has another one, or none, is neither changed nor deleted.

https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def controlled_by(api_version: str, kind: str, name: str, uid: str) -> Json:
    """The owner reference of an object's controller."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller(obj: Mapping[str, Any]) -> Json | None:
    """The reference to an object's controller. Other owners only decide how long it lives."""
    references: list[Json] = obj["metadata"].get("ownerReferences") or []
    return next((it for it in references if it.get("controller")), None)


def is_of(uid: str, obj: Mapping[str, Any]) -> bool:
    """Whether the object with that uid controls another."""
    found = controller(obj)
    return found is not None and found.get("uid") == uid


def whose(obj: Mapping[str, Any]) -> str:
    """An object's controller in words."""
    found = controller(obj)
    return f"the {found['kind']} {found['name']}" if found is not None else "nobody"
