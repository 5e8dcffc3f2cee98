"""What built-in kinds' fields mean, in the words of the official Python client, where that is installed.

`kubectl explain` shows them. The client's models are read as text and never imported: 700 modules for some sentences.
https://github.com/kubernetes-client/python (Apache-2.0)
"""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

_IMPORT = re.compile(r"from kubernetes\.client\.models\.(\w+) import (\w+)")


@cache
def _modules() -> dict[str, Path]:
    """The client's model files by class name; none where the client is not installed."""
    found = importlib.util.find_spec("kubernetes")
    if found is None or not found.submodule_search_locations:
        return {}
    folder = Path(found.submodule_search_locations[0]) / "client" / "models"
    index = folder / "__init__.py"
    if not index.is_file():
        return {}
    return {name: folder / f"{module}.py" for module, name in _IMPORT.findall(index.read_text(encoding="utf-8"))}


def _class_names(struct: str) -> tuple[str, ...]:
    """What the client may call `io.k8s.api.core.v1.Event`: V1Event, or CoreV1Event where groups share the name."""
    *_, group, version, kind = struct.split(".")
    name = version.capitalize() + kind
    return name, group.capitalize() + name


@cache
def of(struct: str) -> tuple[str, dict[str, str]]:
    """A struct's description and those of its fields by their JSON names; empty where they are not known."""
    for name in _class_names(struct):
        path = _modules().get(name)
        if path is None or not path.is_file():
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                own = (ast.get_docstring(node) or "").split("\n\nAttributes:")[0].strip()
                return own, dict(filter(None, map(_field, node.body)))
    return "", {}


def _field(node: ast.stmt) -> tuple[str, str] | None:
    """JSON name and description of `name: Type = Field(serialization_alias=…, description=…)`."""
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(node.value, ast.Call)):
        return None
    given = {key.arg: key.value.value for key in node.value.keywords if isinstance(key.value, ast.Constant)}
    description = given.get("description")
    return (
        (str(given.get("serialization_alias") or node.target.id), description) if isinstance(description, str) else None
    )
