"""What apimachinery's converter says of a value that is not of its Go type: it reads maps, as Go's decoder reads text.

Strategic merge and server-side apply go through it (apimachinery pkg/runtime/converter.go).
"""

from __future__ import annotations

import re

from kubesandbox.builtin import types

_UNMARSHAL = re.compile(
    r"json: cannot unmarshal (number|array|object|bool|string)( [-0-9.e+]+)? into Go "
    r"(?:struct field \S+|value) of type (\S+)"
)
_GO_KINDS = {"array": "slice", "object": "map"}
_NUMBERS = frozenset({"int32", "int64", "float64"})


def converted(text: str) -> str:
    """A decoder's complaint in the words of apimachinery's unstructured converter."""
    match = _UNMARSHAL.fullmatch(text)
    if match is None:
        return f"error decoding from json: {text}" if text.startswith("illegal base64") else text
    found, wanted = match[1], match[3]
    if found == "number":
        found = "float64" if "." in (match[2] or "") else "int64"
    said = _GO_KINDS.get(found, found)
    if wanted.startswith("[]"):
        return f"cannot restore slice from {said}"
    if wanted.startswith("map[") or wanted == "v1.ResourceList":
        return f"cannot restore map from {said}"
    if types.is_struct(wanted):
        return f"cannot restore struct from: {said}"
    kind = wanted if wanted in _NUMBERS | {"bool", "uint8"} else "string"
    # What Go would convert, and JSON does not: numbers to each other, and whole ones to text.
    if (found in _NUMBERS and kind in _NUMBERS) or (found == "int64" and kind == "string"):
        return f"cannot convert {found} to {wanted}"
    return f"unrecognized type: {kind}"
