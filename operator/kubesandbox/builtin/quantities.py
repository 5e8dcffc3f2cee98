"""Quantities of resources (apimachinery's resource.Quantity): comparing them and what containers may ask for."""

from __future__ import annotations

from collections.abc import Mapping

from kubesandbox import names
from kubesandbox.builtin.amounts import amount
from kubesandbox.objects import Json, Object
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause

_STANDARD = frozenset({"cpu", "memory", "ephemeral-storage"})
NON_NEGATIVE = "must be greater than or equal to 0"


def validate_resources(resources: Object, path: str) -> list[Cause]:
    """What is wrong with a container's requests and limits (ValidateContainerResourceRequirements)."""
    found: list[Cause] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, value in limits.items():
        found += _entry(name, value, f"{path}.limits[{name}]")
    for name, value in requests.items():
        found += _entry(name, value, f"{path}.requests[{name}]")
        found += _within(name, value, limits, path)
    return found


def _within(name: str, value: Json, limits: Mapping[str, Json], path: str) -> list[Cause]:
    limit, flexible = limits.get(name), name in _STANDARD
    if limit is None:
        if "/" not in name and not name.startswith("hugepages-"):
            return []
        text = "Limit must be set for non overcommitable resources"
        return [] if flexible else [causes.required(f"{path}.limits", text)]
    asked, most = amount(value), amount(limit)
    if not flexible and asked != most:
        text = f"must be equal to {name} limit of {limit}"
        return [causes.invalid(f"{path}.requests", str(value), text)]
    if asked > most:
        text = f"must be less than or equal to {name} limit of {limit}"
        return [causes.invalid(f"{path}.requests", str(value), text)]
    return []


def _entry(name: str, value: Json, path: str) -> list[Cause]:
    found = [causes.invalid(path, name, text) for text in names.label_key(name)]
    if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        found.append(causes.invalid(path, name, "must be a standard resource type or fully qualified"))
        found.append(causes.invalid(path, name, "must be a standard resource for containers"))
    number = amount(value)
    if number < 0:
        found.append(causes.invalid(path, str(value), NON_NEGATIVE))
    if name not in _STANDARD and number % 1:
        found.append(causes.invalid(path, str(value), "must be an integer"))
    return found
