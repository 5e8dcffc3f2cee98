"""What makes a CustomResourceDefinition invalid (apiextensions-apiserver, pkg/apis/apiextensions/validation)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from kubesandbox import errors, names
from kubesandbox.metadata import IMMUTABLE
from kubesandbox.objects import Object, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.schema.structural import check_structural

COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
MOST_SELECTABLE = 8
_APPROVED = "api-approved.kubernetes.io"


def validate_definition(obj: Object) -> list[Cause]:
    """What is wrong with a definition."""
    spec = obj.get("spec") or {}
    group, found = spec.get("group") or "", spec.get("names") or {}
    name, wanted = obj["metadata"].get("name", ""), f"{found.get('plural') or ''}.{group}"
    problems = (
        [causes.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group')] if name != wanted else []
    )
    problems += _group(group)
    if group.endswith((".k8s.io", ".kubernetes.io")):
        problems += _approval(obj)
    scope = spec.get("scope") or ""
    if not scope:
        problems.append(causes.required("spec.scope"))
    elif scope not in {"Cluster", "Namespaced"}:
        problems.append(causes.not_supported("spec.scope", scope, ["Cluster", "Namespaced"]))
    if spec.get("preserveUnknownFields"):
        text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        problems.append(causes.invalid("spec.preserveUnknownFields", True, text))
    problems += _versions(spec.get("versions"))
    problems += [
        causes.required(f"spec.names.{key}") for key in ("plural", "singular", "kind", "listKind") if not found.get(key)
    ]
    problems += _names(found)
    problems += _stored(obj)
    strategy = dig(spec, "conversion", "strategy")
    if strategy == "Webhook":
        raise errors.not_implemented("conversion webhooks")
    if dig(spec, "conversion", "webhook") is not None:
        text = "should not be set when strategy is not set to Webhook"
        keys = ("webhookClientConfig", "conversionReviewVersions")
        problems += [causes.forbidden(f"spec.conversion.{key}", text) for key in keys]
    if strategy != "None":
        problems.append(causes.not_supported("spec.conversion.strategy", strategy, ["None", "Webhook"]))
    return problems


def _stored(obj: Object) -> Iterator[Cause]:
    """ValidateCustomResourceDefinitionStoredVersions."""
    stored = dig(obj, "status", "storedVersions")
    if not stored:
        yield causes.invalid("status.storedVersions", stored or None, "must have at least one stored version")
        return
    storage = [version.get("name") for version in dig(obj, "spec", "versions") or () if version.get("storage")]
    if storage and storage[-1] not in stored:
        yield causes.invalid("status.storedVersions", stored, f"must have the storage version {storage[-1]}")


def _approval(obj: Object) -> Iterator[Cause]:
    """What *.k8s.io and *.kubernetes.io ask of a definition (apihelpers.GetAPIApprovalState)."""
    approval, path = dig(obj, "metadata", "annotations", _APPROVED), f"metadata.annotations[{_APPROVED}]"
    see = "see https://github.com/kubernetes/enhancements/pull/1111"
    if not approval:
        yield causes.required(path, f'protected groups must have approval annotation "{_APPROVED}", {see}')
    elif not (approval.startswith("unapproved") or urlsplit(approval).netloc):
        text = (
            f'protected groups must have approval annotation "{_APPROVED}" with either a URL or a reason starting with '
            f'"unapproved", {see}'
        )
        yield causes.invalid(path, approval, text)


def _group(group: str) -> list[Cause]:
    if not group:
        return [causes.required("spec.group")]
    wrong = names.subdomain(group)
    if wrong:
        return [causes.invalid("spec.group", group, ",".join(wrong))]
    if "." not in group:
        return [causes.invalid("spec.group", group, "should be a domain with at least one dot")]
    return []


def _names(found: Object) -> Iterator[Cause]:
    for key in ("plural", "singular", "kind", "listKind"):
        value = found.get(key) or ""
        mixed = "may have mixed case, but should otherwise match: " if key in {"kind", "listKind"} else ""
        wrong = names.dns1035(value.lower() if mixed else value) if value else []
        if wrong:
            yield causes.invalid(f"spec.names.{key}", value, mixed + ",".join(wrong))
    for key in ("shortNames", "categories"):
        for index, value in enumerate(found.get(key) or ()):
            if wrong := names.dns1035(value):
                yield causes.invalid(f"spec.names.{key}[{index}]", value, ",".join(wrong))
    if found.get("kind") and found.get("kind") == found.get("listKind"):
        yield causes.invalid("spec.names.listKind", found["listKind"], "kind and listKind may not be the same")


def _shared(versions: list[Object], key: str) -> bool:
    """Whether all versions have the same, which the internal type then has once, for all (v1/conversion.go)."""
    return len({causes.go_json(version.get(key)) for version in versions}) == 1


def _go_versions(versions: list[Object]) -> list[Object]:
    """Versions as Go prints the internal type: what is the same in all of them has moved out."""
    keys = {"schema": "Schema", "subresources": "Subresources", "additionalPrinterColumns": "AdditionalPrinterColumns"}
    keys["selectableFields"] = "SelectableFields"
    return [
        {
            "Name": version.get("name", ""),
            "Served": bool(version.get("served")),
            "Storage": bool(version.get("storage")),
            "Deprecated": bool(version.get("deprecated")),
            "DeprecationWarning": version.get("deprecationWarning"),
            **{go: None if _shared(versions, key) else version.get(key) for key, go in keys.items()},
        }
        for version in versions
    ]


def _versions(given: list[Object] | None) -> list[Cause]:
    versions = given or []
    problems: list[Cause] = []
    for index, version in enumerate(versions):
        if not isinstance(dig(version, "schema", "openAPIV3Schema"), dict):
            problems.append(causes.required(f"spec.versions[{index}].schema.openAPIV3Schema"))
    for index in range(len(versions)):
        problems += _version(versions, index)
    found = [version.get("name") for version in versions]
    if len(set(found)) != len(found):
        problems.append(
            causes.invalid(
                "spec.versions", causes.go_struct(_go_versions(versions)), "must contain unique version names"
            )
        )
    if sum(bool(version.get("storage")) for version in versions) != 1:
        text = "must have exactly one version marked as storage version"
        shown = None if given is None else _go_versions(versions)
        problems.append(causes.invalid("spec.versions", causes.go_struct(shown), text))
    return problems


def _version(versions: list[Object], index: int) -> Iterator[Cause]:
    """What is wrong with one version; what all of them share is told of the first, in the place where it is kept."""
    version = versions[index]
    path, name = f"spec.versions[{index}]", version.get("name") or ""
    if wrong := names.dns1035(name):
        yield causes.invalid(f"{path}.name", name, ",".join(wrong))
        if index == 0 and name:  # the internal type has the first one's name once more
            yield causes.invalid("spec.version", name, ",".join(wrong))
    if version.get("deprecationWarning") and not version.get("deprecated"):
        text = "can only be set for deprecated versions"
        yield causes.invalid(f"{path}.deprecationWarning", version["deprecationWarning"], text)
    schema = dig(version, "schema", "openAPIV3Schema")
    if isinstance(schema, dict):
        has_status = "status" in (version.get("subresources") or {})
        if not _shared(versions, "schema"):
            yield from check_structural(schema, f"{path}.schema.openAPIV3Schema", status=has_status)
        elif index == 0:
            yield from check_structural(schema, "spec.validation.openAPIV3Schema", status=has_status)
    for key, check in _PER_VERSION.items():
        if not _shared(versions, key):
            yield from check(version.get(key), schema or {}, f"{path}.{key}")
        elif index == 0:
            yield from check(version.get(key), schema or {}, f"spec.{key}")


def _column(column: Object, path: str) -> Iterator[Cause]:
    if not column.get("name"):
        yield causes.required(f"{path}.name")
    kind = column.get("type") or ""
    if not kind:
        yield causes.required(f"{path}.type", f"must be one of {','.join(COLUMN_TYPES)}")
    elif kind not in COLUMN_TYPES:
        yield causes.invalid(f"{path}.type", kind, f"must be one of {','.join(COLUMN_TYPES)}")
    if column.get("format") and column["format"] not in COLUMN_FORMATS:
        yield causes.invalid(f"{path}.format", column["format"], f"must be one of {','.join(COLUMN_FORMATS)}")
    found = column.get("jsonPath") or ""
    if not found:
        yield causes.required(f"{path}.JSONPath")
    elif not found.startswith("."):
        yield causes.invalid(f"{path}.JSONPath", found, "must be a simple json path starting with .")


def _scale(scale: Object | None, path: str) -> Iterator[Cause]:
    for key, prefixes, where in (
        ("specReplicasPath", (".spec.",), ".spec"),
        ("statusReplicasPath", (".status.",), ".status"),
        ("labelSelectorPath", (".spec.", ".status."), "either .spec or .status"),
    ):
        value = (scale or {}).get(key) or ""
        if scale is None or (not value and key == "labelSelectorPath"):
            continue
        if not value:
            yield causes.required(f"{path}.{key}")
        elif not value.startswith("."):
            yield causes.invalid(f"{path}.{key}", value, "must be a simple json path starting with .")
        elif not value.startswith(prefixes):
            yield causes.invalid(f"{path}.{key}", value, f"should be a json path under {where}")


def _selectable(fields: list[Object], schema: Object, path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, entry in enumerate(fields):
        at, found = f"{path}[{index}].jsonPath", entry.get("jsonPath") or ""
        if not found:
            yield causes.required(at)
            continue
        steps = found.removeprefix(".").split(".")
        node = schema
        for step in steps:
            node = (node.get("properties") or {}).get(step) or {}
        if not found.startswith("."):
            yield causes.invalid(at, found, f"is an invalid path: expected [ or . but got: {steps[0]}")
        elif not node:
            yield causes.invalid(at, found, "is an invalid path: does not refer to a valid field")
        elif node.get("type") not in {"string", "boolean", "integer"}:
            text = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats "
                "are allowed."
            )
            yield causes.invalid(at, found, text)
        if found in seen:
            yield causes.duplicate(at, found)
        seen.add(found)
    if len(seen) > MOST_SELECTABLE:
        yield causes.too_many(path, len(seen), MOST_SELECTABLE)


def _subresources(value: Object | None, _schema: Object, path: str) -> Iterator[Cause]:
    return _scale(dig(value or {}, "scale"), f"{path}.scale")


def _columns(value: list[Object] | None, _schema: Object, path: str) -> Iterator[Cause]:
    for number, column in enumerate(value or ()):
        yield from _column(column, f"{path}[{number}]")


def _selectables(value: list[Object] | None, schema: Object, path: str) -> Iterator[Cause]:
    return _selectable(value or [], schema, path)


_PER_VERSION: dict[str, Callable[..., Iterator[Cause]]] = {
    "subresources": _subresources,
    "additionalPrinterColumns": _columns,
    "selectableFields": _selectables,
}


def validate_definition_update(obj: Object, old: Object) -> list[Cause]:
    """What is wrong with a change to a definition."""
    established = any(
        c.get("type") == "Established" and c.get("status") == "True" for c in dig(old, "status", "conditions") or ()
    )
    fixed = [("group",), ("names", "plural")]
    if established:
        fixed = [("scope",), ("names", "kind"), *fixed]
    found = [
        causes.invalid(f"spec.{'.'.join(path)}", dig(obj, "spec", *path), IMMUTABLE)
        for path in fixed
        if dig(obj, "spec", *path) != dig(old, "spec", *path)
    ]
    versions = {version.get("name") for version in dig(obj, "spec", "versions") or ()}
    for index, name in enumerate(dig(old, "status", "storedVersions") or ()):
        if name not in versions:
            text = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            found.append(causes.invalid(f"status.storedVersions[{index}]", name, text))
    return found
