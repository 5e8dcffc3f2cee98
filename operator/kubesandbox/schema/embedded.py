"""What a resource embedded in another one (`x-kubernetes-embedded-resource`) must have: apiVersion, kind, names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubesandbox import names
from kubesandbox.schema import causes
from kubesandbox.schema.causes import JSON, Cause
from kubesandbox.schema.node import Node

_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DNS_1035_SAYS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def embedded(node: Node, value: JSON, path: str = "") -> Iterator[Cause]:
    """A cause for each embedded resource's wrong type or metadata, below the root."""
    if isinstance(value, dict) and node.embedded and path:
        yield from _resource(value, path)
    if not node.embedded_below:
        return
    if isinstance(value, dict):
        for name, part in value.items():
            if name in node.properties:
                yield from embedded(node.properties[name], part, causes.child(path, name))
            elif (values := node.values) is not None:
                yield from embedded(values, part, causes.key(path, name))
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            yield from embedded(node.items, item, f"{path}[{index}]")


def _resource(value: dict[str, JSON], path: str) -> Iterator[Cause]:
    for name in ("apiVersion", "kind"):
        where, given = causes.child(path, name), value.get(name)
        if name not in value:
            yield causes.required(where)
        elif not isinstance(given, str):
            yield causes.invalid(where, given, "must be a string")
        elif not given:
            yield causes.invalid(where, given, "must not be empty")
        elif name == "apiVersion" and given.count("/") > 1:
            yield causes.invalid(where, given, f"unexpected GroupVersion string: {given}")
        elif name == "kind" and not (len(given) <= 63 and _DNS_1035.fullmatch(given.lower())):
            yield causes.invalid(where, given, f"may have mixed case, but should otherwise match: {_DNS_1035_SAYS}")
    metadata = value.get("metadata")
    if "metadata" in value and not isinstance(metadata, dict):
        yield causes.invalid(causes.child(path, "metadata"), metadata, "must be an object")
    elif isinstance(metadata, dict):
        yield from _metadata(metadata, causes.child(path, "metadata"))


def _metadata(metadata: dict[str, JSON], path: str) -> Iterator[Cause]:
    """What ObjectMeta's validation finds in it, names aside, which any path segment is."""
    for key, text in _key_errors(metadata.get("labels")):
        yield causes.invalid(causes.child(path, "labels"), key, text)
    for _, value in _strings(metadata.get("labels")):
        for text in names.label_value(value):
            yield causes.invalid(causes.child(path, "labels"), value, text)
    for key, text in _key_errors(metadata.get("annotations")):
        yield causes.invalid(causes.child(path, "annotations"), key, text)


def _strings(found: JSON) -> Iterator[tuple[str, str]]:
    if isinstance(found, dict):
        yield from ((key, value) for key, value in found.items() if isinstance(value, str))


def _key_errors(found: JSON) -> Iterator[tuple[str, str]]:
    for key, _ in _strings(found):
        yield from ((key, text) for text in names.label_key(key.lower()))
