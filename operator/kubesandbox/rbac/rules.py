"""PolicyRules: what they allow, what they cover, and how errors show them (kubernetes pkg/registry/rbac)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubesandbox.objects import Object
from kubesandbox.paths import RequestInfo

Rule = Object


def allows(rule: Rule, about: RequestInfo) -> bool:
    """Whether one rule allows a request."""
    verbs = rule.get("verbs") or ()
    if "*" not in verbs and about.verb not in verbs:
        return False
    if not about.is_resource:
        return any(_path_matches(pattern, about.path) for pattern in rule.get("nonResourceURLs") or ())
    groups = rule.get("apiGroups") or ()
    if "*" not in groups and about.group not in groups:
        return False
    named = rule.get("resourceNames") or ()
    if named and about.name not in named:
        return False
    return _resource_matches(rule.get("resources") or (), about.resource, about.subresource)


def _resource_matches(resources: Sequence[str], resource: str, subresource: str) -> bool:
    combined = f"{resource}/{subresource}" if subresource else resource
    return any(listed in {"*", combined} or (subresource and listed == f"*/{subresource}") for listed in resources)


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in {"*", path} or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def atoms(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Rules of one verb on one resource, name or path each."""
    for rule in rules:
        for verb in rule.get("verbs") or ():
            for url in rule.get("nonResourceURLs") or ():
                yield {"verbs": [verb], "nonResourceURLs": [url]}
            for group in rule.get("apiGroups") or ():
                for resource in rule.get("resources") or ():
                    atom: Rule = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                    names = rule.get("resourceNames")
                    yield from ({**atom, "resourceNames": [name]} for name in names) if names else (atom,)


def uncovered(held: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The atoms of `wanted` that `held` do not grant."""
    owned = list(held)
    return [atom for atom in atoms(wanted) if not any(_covers(rule, atom) for rule in owned)]


def _covers(rule: Rule, atom: Rule) -> bool:
    def has(key: str) -> bool:
        listed = rule.get(key) or ()
        return "*" in listed or all(value in listed for value in atom.get(key) or ())

    if not has("verbs"):
        return False
    if atom.get("nonResourceURLs"):
        wanted = atom["nonResourceURLs"][0]
        return any(_path_matches(pattern, wanted) for pattern in rule.get("nonResourceURLs") or ())
    if not has("apiGroups"):
        return False
    resource, _, subresource = atom["resources"][0].partition("/")
    listed = rule.get("resources") or ()
    if atom["resources"][0] not in listed and not _resource_matches(listed, resource, subresource):
        return False
    names = rule.get("resourceNames") or ()
    return not names or (bool(atom.get("resourceNames")) and all(name in names for name in atom["resourceNames"]))


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Atoms that differ only in their verb, as one rule each."""
    merged: dict[str, Rule] = {}
    for rule in rules:
        key = repr({k: v for k, v in sorted(rule.items()) if k != "verbs"})
        found = merged.setdefault(key, {**rule, "verbs": []})
        found["verbs"] = [*found["verbs"], *(v for v in rule["verbs"] if v not in found["verbs"])]
    return list(merged.values())


def show(rule: Rule) -> str:
    """A rule as an escalation error lists it."""
    titles = (
        ("nonResourceURLs", "NonResourceURLs"),
        ("apiGroups", "APIGroups"),
        ("resources", "Resources"),
        ("resourceNames", "ResourceNames"),
        ("verbs", "Verbs"),
    )

    def values(key: str) -> str:
        return " ".join(f'"{value}"' for value in rule[key])

    return "{" + ", ".join(f"{title}:[{values(key)}]" for key, title in titles if rule.get(key)) + "}"
