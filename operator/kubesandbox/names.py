"""Names and their rules, in apimachinery's words (pkg/util/validation)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

NameRule = Callable[[str], list[str]]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


def too_long(most: int, unit: str = "characters") -> str:
    """What is said of a name that is too long; newer validators count bytes and say so."""
    return f"must be no more than {most} {unit}"


def regex_error(message: str, pattern: str, *examples: str) -> str:
    """A rule's sentence with its examples and its pattern."""
    shown = " or ".join(f"'{example}', " for example in examples).rstrip(", ") if examples else ""
    return f"{message} (e.g. {shown}, regex used for validation is '{pattern}')"


def subdomain(name: str) -> list[str]:
    """What is wrong with a DNS-1123 subdomain."""
    said = [too_long(253)] if len(name) > 253 else []
    if not re.fullmatch(_SUBDOMAIN, name):
        said.append(
            regex_error(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
                "and must start and end with an alphanumeric character",
                _SUBDOMAIN,
                "example.com",
            )
        )
    return said


def label(name: str) -> list[str]:
    """What is wrong with a DNS-1123 label."""
    said = [too_long(63)] if len(name) > 63 else []
    if not re.fullmatch(_LABEL, name):
        if re.fullmatch(_SUBDOMAIN, name):
            said.append("must not contain dots")
        else:
            said.append(
                regex_error(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                    "start and end with an alphanumeric character",
                    _LABEL,
                    "my-name",
                    "123-abc",
                )
            )
    return said


def dns1035(name: str) -> list[str]:
    """What is wrong with a DNS-1035 label (a Service's name)."""
    said = [too_long(63)] if len(name) > 63 else []
    if not re.fullmatch(_DNS1035, name):
        said.append(
            regex_error(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
                "character, and end with an alphanumeric character",
                _DNS1035,
                "my-name",
                "abc-123",
            )
        )
    return said


def path_segment(name: str) -> list[str]:
    """What is wrong with a name that must only fit into a path (RBAC)."""
    if name in {".", ".."}:
        return [f"may not be '{name}'"]
    return [f"may not contain '{sign}'" for sign in "/%" if sign in name]


def label_key(key: str) -> list[str]:
    """What is wrong with a label's or annotation's key, or a finalizer."""
    parts = key.split("/")
    rule = regex_error(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
        "character",
        _KEY,
        "MyName",
        "my.name",
        "123-abc",
    )
    if len(parts) > 2:
        return [f"a valid label key {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    said: list[str] = []
    if len(parts) == 2:
        said += [f"prefix part {text}" for text in (subdomain(parts[0]) if parts[0] else ["must be non-empty"])]
    if not parts[-1]:
        said.append("name part must be non-empty")
    elif len(parts[-1]) > 63:
        said.append(f"name part {too_long(63, 'bytes')}")
    if not re.fullmatch(_KEY, parts[-1]):
        said.append(f"name part {rule}")
    return said


def label_value(value: str) -> list[str]:
    """What is wrong with a label's value."""
    said = [too_long(63, "bytes")] if len(value) > 63 else []
    if not re.fullmatch(f"({_KEY})?", value):
        said.append(
            regex_error(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
                "must start and end with an alphanumeric character",
                f"({_KEY})?",
                "MyValue",
                "my_value",
                "12345",
            )
        )
    return said


def config_key(key: str) -> list[str]:
    """What is wrong with a key of a ConfigMap or Secret."""
    said = [too_long(253)] if len(key) > 253 else []
    if not re.fullmatch("[-._a-zA-Z0-9]+", key):
        said.append(
            regex_error(
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                "[-._a-zA-Z0-9]+",
                "key.name",
                "KEY_NAME",
                "key-name",
            )
        )
    elif key == ".":
        said.append("must not be '.'")
    elif key == "..":
        said.append("must not be '..'")
    elif key.startswith(".."):
        said.append("must not start with '..'")
    return said


def generated(base: str) -> str:
    """`generateName` with five random characters, as kube-apiserver draws them."""
    return base[:58] + "".join(secrets.choice(_SUFFIX) for _ in range(5))


_WILDCARD = rf"\*\.{_SUBDOMAIN}"


def wildcard(name: str) -> list[str]:
    """What is wrong with a DNS-1123 subdomain whose first part is `*`."""
    said = [too_long(253)] if len(name) > 253 else []
    if not re.fullmatch(_WILDCARD, name):
        text = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist "
            "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
        )
        said.append(regex_error(text, _WILDCARD, "*.example.com"))
    return said
