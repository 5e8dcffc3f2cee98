"""What makes a CustomResourceDefinition invalid (apiextensions-apiserver's validation)."""

from __future__ import annotations

from kubesandbox import names
from kubesandbox.objects import Object, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.schema.structural import check_structural


def validate_definition(obj: Object) -> list[Cause]:
    """What is wrong with a definition."""
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        spec = {}
    group, found = spec.get("group") or "", spec.get("names") or {}
    plural = found.get("plural") or ""
    problems: list[Cause] = []
    name = obj["metadata"].get("name", "")
    if name != f"{plural}.{group}":
        problems.append(causes.invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
    if not group:
        problems.append(causes.required("spec.group"))
    else:
        problems += [causes.invalid("spec.group", group, text) for text in names.subdomain(group)]
        if "." not in group:
            problems.append(causes.invalid("spec.group", group, "should be a domain with at least one dot"))
    scope = spec.get("scope") or ""
    if not scope:
        problems.append(causes.required("spec.scope"))
    elif scope not in {"Cluster", "Namespaced"}:
        problems.append(causes.not_supported("spec.scope", scope, ["Cluster", "Namespaced"]))
    problems += _names(found)
    problems += _versions(spec.get("versions") or [])
    return problems


def _names(found: Object) -> list[Cause]:
    problems: list[Cause] = []
    for key in ("plural", "singular", "kind", "listKind"):
        value = found.get(key) or ""
        path = f"spec.names.{key}"
        if not value and key in {"plural", "kind"}:
            problems.append(causes.required(path))
        elif value:
            problems += [causes.invalid(path, value, text) for text in names.dns1035(value.lower())]
    for key in ("shortNames", "categories"):
        for index, value in enumerate(found.get(key) or ()):
            problems += [causes.invalid(f"spec.names.{key}[{index}]", value, text) for text in names.dns1035(value)]
    if found.get("kind") and found.get("kind") == found.get("listKind"):
        problems.append(
            causes.invalid("spec.names.listKind", found["listKind"], "kind and listKind may not be the same")
        )
    return problems


def _versions(versions: list[Object]) -> list[Cause]:
    problems: list[Cause] = []
    stored = [version for version in versions if version.get("storage")]
    if len(stored) != 1:
        text = "must have exactly one version marked as storage version"
        problems.append(causes.invalid_unshown("spec.versions", text))
    seen: set[str] = set()
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        name = version.get("name") or ""
        problems += [causes.invalid(f"{path}.name", name, text) for text in names.dns1035(name)]
        if name in seen:
            problems.append(causes.invalid("spec.versions", name, "must contain unique version names"))
        seen.add(name)
    return problems + _schemas(versions)


def _schemas(versions: list[Object]) -> list[Cause]:
    """The versions' schemas. One that all versions share is checked, and named, once, at `spec.validation`:
    apiextensions' internal form keeps it there."""
    problems: list[Cause] = []
    schemas = [dig(version, "schema", "openAPIV3Schema") for version in versions]
    statuses = ["status" in (version.get("subresources") or {}) for version in versions]
    if schemas and isinstance(schemas[0], dict) and all(schema == schemas[0] for schema in schemas):
        return check_structural(schemas[0], "spec.validation.openAPIV3Schema", status=any(statuses))
    for index, (schema, has_status) in enumerate(zip(schemas, statuses, strict=True)):
        path = f"spec.versions[{index}].schema.openAPIV3Schema"
        if isinstance(schema, dict):
            problems += check_structural(schema, path, status=has_status)
        else:
            problems.append(causes.required(path))
    return problems


def validate_definition_update(obj: Object, old: Object) -> list[Cause]:
    """What is wrong with a change to an established definition."""
    problems: list[Cause] = []
    established = any(
        c.get("type") == "Established" and c.get("status") == "True" for c in dig(old, "status", "conditions") or ()
    )
    text = "field is immutable"
    if obj["spec"].get("group") != old["spec"].get("group"):
        problems.append(causes.invalid("spec.group", obj["spec"].get("group"), text))
    if established:
        if obj["spec"].get("scope") != old["spec"].get("scope"):
            problems.append(causes.invalid("spec.scope", obj["spec"].get("scope"), text))
        named = dig(obj, "spec", "names", "kind")
        if named != dig(old, "spec", "names", "kind"):
            problems.append(causes.invalid("spec.names.kind", named, text))
    return problems
