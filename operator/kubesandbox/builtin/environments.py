"""What may be wrong with containers' environments (kubernetes pkg/apis/core/validation/validation.go)."""

from __future__ import annotations

import re

from kubesandbox import names
from kubesandbox.objects import Object
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause

_NAME = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_FIELDS = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
]
# Fields that the downward API knows, though not as variables (ConvertDownwardAPIFieldLabel).
_KNOWN = frozenset(
    {
        *_FIELDS,
        "metadata.annotations",
        "metadata.labels",
        "spec.restartPolicy",
        "spec.schedulerName",
        "status.phase",
        "spec.host",
    }
)
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")
_RESOURCES = [f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")]
_ONE = "may not have more than one field specified at a time"


def variable_name(name: str) -> list[str]:
    """What is wrong with a variable's name (IsRelaxedEnvVarName)."""
    return [_NAME] if not name or any(not " " <= sign <= "~" or sign == "=" for sign in name) else []


def validate_env(variables: list[Object], path: str) -> list[Cause]:
    """What is wrong with `env`."""
    found: list[Cause] = []
    for index, variable in enumerate(variables):
        at, name = f"{path}[{index}]", variable.get("name") or ""
        if not name:
            found.append(causes.required(f"{at}.name"))
        else:
            found += [causes.invalid(f"{at}.name", name, text) for text in variable_name(name)]
        if variable.get("valueFrom") is not None:
            found += _value_from(variable, f"{at}.valueFrom")
    return found


def _value_from(variable: Object, path: str) -> list[Cause]:
    source: Object = variable["valueFrom"]
    given = [key for key in _SOURCES if source.get(key) is not None]
    found: list[Cause] = []
    for key in given:
        at, reference = f"{path}.{key}", source[key]
        if key == "fieldRef":
            found += _field(reference, at)
        elif key == "resourceFieldRef":
            found += _resource(reference, at)
        elif key != "fileKeyRef":
            found += _key(reference, at)
    if not given:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        found.append(causes.invalid(path, "", f"must specify one of: {listed}"))
    if variable.get("value"):
        if given:
            found.append(causes.invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        found.append(causes.invalid(path, "", _ONE))
    return found


def _field(reference: Object, path: str) -> list[Cause]:
    field = reference.get("fieldPath") or ""
    if not field:
        return [causes.required(f"{path}.fieldPath")]
    subscript = _SUBSCRIPT.fullmatch(field)
    if subscript:
        key = subscript[2].lower() if subscript[1] == "annotations" else subscript[2]
        return [causes.invalid(path, key, text) for text in names.label_key(key)]
    if field not in _KNOWN:
        text = f"error converting fieldPath: field label not supported: {field}"
        return [causes.invalid(f"{path}.fieldPath", field, text)]
    if field not in _FIELDS and field != "spec.host":
        return [causes.not_supported(f"{path}.fieldPath", field, _FIELDS)]
    return []


def _resource(reference: Object, path: str) -> list[Cause]:
    resource = reference.get("resource") or ""
    if not resource:
        return [causes.required(f"{path}.resource")]
    if resource not in _RESOURCES and not resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        return [causes.not_supported(f"{path}.resource", resource, _RESOURCES)]
    return []


def _key(reference: Object, path: str) -> list[Cause]:
    name = reference.get("name") or ""
    found = [causes.invalid(f"{path}.name", name, text) for text in names.subdomain(name)]
    key = reference.get("key") or ""
    if not key:
        return [*found, causes.required(f"{path}.key")]
    return found + [causes.invalid(f"{path}.key", key, text) for text in names.config_key(key)]


def validate_env_from(sources: list[Object], path: str) -> list[Cause]:
    """What is wrong with `envFrom`."""
    found: list[Cause] = []
    for index, source in enumerate(sources):
        at, prefix = f"{path}[{index}]", source.get("prefix") or ""
        if prefix:
            found += [causes.invalid(f"{at}.prefix", prefix, text) for text in variable_name(prefix)]
        given = [key for key in ("configMapRef", "secretRef") if source.get(key) is not None]
        for key in given:
            name = source[key].get("name")
            if not name:
                found.append(causes.required(f"{at}.{key}.name"))
            else:
                found += [causes.invalid(f"{at}.{key}.name", name, text) for text in names.subdomain(name)]
        if not given:  # which one is not told
            found.append(causes.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            found.append(causes.invalid(path, "", _ONE))
    return found
