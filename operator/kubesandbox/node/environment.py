"""A container's environment, command line and file paths, from its spec and what that refers to. Pure."""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubesandbox.client import Object
from kubesandbox.node import quantity

INHERITED = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "TZ", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What a container gets of the node's own environment; all else stays with the node."""


class ContainerConfigError(Exception):
    """What the container refers to is not there; the text is the kubelet's."""


@dataclass(frozen=True, slots=True)
class References:
    """The ConfigMaps and Secrets of one namespace that a pod refers to; None for one that does not exist."""

    config_maps: Mapping[str, Object | None] = field(default_factory=dict)
    secrets: Mapping[str, Object | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the node adds: addresses as the process sees them, and the node's allocatable resources."""

    node_name: str
    pod_ip: str
    host_ip: str
    allocatable: Mapping[str, str]


def referenced(pod_spec: Object) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and of the Secrets that containers' environments refer to."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for container in (*(pod_spec.get("initContainers") or ()), *pod_spec["containers"]):
        for source in container.get("envFrom") or ():
            if "configMapRef" in source:
                config_maps.add(source["configMapRef"]["name"])
            if "secretRef" in source:
                secrets.add(source["secretRef"]["name"])
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            if "configMapKeyRef" in source:
                config_maps.add(source["configMapKeyRef"]["name"])
            if "secretKeyRef" in source:
                secrets.add(source["secretKeyRef"]["name"])
    return config_maps, secrets


def variables(container: Object, pod: Object, references: References, facts: Facts) -> dict[str, str]:
    """The environment that the spec asks for, `$(NAME)` expanded in the order of the list, as the kubelet does."""
    result: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix", "")
        for name, value in _all_of(source, references).items():
            result[prefix + name] = value
    for variable in container.get("env") or ():
        if variable.get("valueFrom"):
            found = _value_from(variable["valueFrom"], container, pod, references, facts)
            if found is not None:
                result[variable["name"]] = found
        else:
            result[variable["name"]] = expand(variable.get("value") or "", result)
    return result


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; `$$(NAME)` escapes; a name that is not known stays as it is."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return values.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)


def rewrite(text: str, mounts: Mapping[str, Path]) -> str:
    """Replace mount paths in `text` by where they really are: there are no mount namespaces here.

    A path counts where it stands as a whole or as a prefix up to a slash, and not inside a longer name.
    """
    real = {mount.rstrip("/"): str(path) for mount, path in mounts.items() if mount.rstrip("/")}
    if not real:
        return text
    # In one pass: where a mount really is may itself begin with another mount's path, /tmp above all.
    longest_first = "|".join(re.escape(path) for path in sorted(real, key=len, reverse=True))
    return re.sub(rf"(?<![\w./-])({longest_first})(?![\w.-])", lambda match: real[match[1]], text)


def field_value(path: str, pod: Object, facts: Facts) -> str:
    """What the downward API's fieldPath gives for this pod."""
    metadata, spec = pod["metadata"], pod["spec"]
    if match := re.fullmatch(r"metadata\.(labels|annotations)(?:\['([^']+)'\])?", path):
        held = metadata.get(match[1]) or {}
        if match[2] is not None:
            return str(held.get(match[2], ""))
        return "\n".join(f'{name}="{_escaped(value)}"' for name, value in sorted(held.items()))
    simple: dict[str, Callable[[], str]] = {
        "metadata.name": lambda: metadata["name"],
        "metadata.namespace": lambda: metadata["namespace"],
        "metadata.uid": lambda: metadata["uid"],
        "spec.nodeName": lambda: facts.node_name,
        "spec.serviceAccountName": lambda: spec.get("serviceAccountName", "default"),
        "status.podIP": lambda: facts.pod_ip,
        "status.podIPs": lambda: facts.pod_ip,
        "status.hostIP": lambda: facts.host_ip,
        "status.hostIPs": lambda: facts.host_ip,
    }
    if path not in simple:
        raise ContainerConfigError(f"unsupported fieldPath: {path}")
    return simple[path]()


def resource_value(reference: Object, container: Object, facts: Facts) -> str:
    """What a resourceFieldRef gives: a limit without a value is what the node can allocate."""
    kind, _, name = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    value = (resources.get(kind) or {}).get(name)
    if value is None:
        value = facts.allocatable.get(name) if kind == "limits" else "0"
    if value is None:
        raise ContainerConfigError(f"unsupported resourceFieldRef: {reference['resource']}")
    return quantity.divided(value, reference.get("divisor") or "1")


def text_of(data: Object, name: str) -> bytes | None:
    """One key of a ConfigMap or Secret."""
    if name in (data.get("data") or {}):
        value = data["data"][name]
        return base64.b64decode(value) if data.get("kind") == "Secret" else str(value).encode()
    if name in (data.get("binaryData") or {}):
        return base64.b64decode(data["binaryData"][name])
    return None


def keys_of(data: Object) -> Iterable[str]:
    return [*(data.get("data") or {}), *(data.get("binaryData") or {})]


def _all_of(source: Object, references: References) -> dict[str, str]:
    for reference_field, kind, known in (
        ("configMapRef", "configmap", references.config_maps),
        ("secretRef", "secret", references.secrets),
    ):
        reference = source.get(reference_field)
        if reference is None:
            continue
        data = known.get(reference["name"])
        if data is None:
            if reference.get("optional"):
                return {}
            raise ContainerConfigError(f'{kind} "{reference["name"]}" not found')
        return {name: (text_of(data, name) or b"").decode(errors="replace") for name in data.get("data") or {}}
    return {}


def _value_from(source: Object, container: Object, pod: Object, references: References, facts: Facts) -> str | None:
    if "fieldRef" in source:
        return field_value(source["fieldRef"]["fieldPath"], pod, facts)
    if "resourceFieldRef" in source:
        return resource_value(source["resourceFieldRef"], _container(source["resourceFieldRef"], container, pod), facts)
    for reference_field, kind, known in (
        ("configMapKeyRef", "ConfigMap", references.config_maps),
        ("secretKeyRef", "Secret", references.secrets),
    ):
        if reference_field not in source:
            continue
        reference = source[reference_field]
        name, key = reference["name"], reference["key"]
        data = known.get(name)
        if data is None:
            if reference.get("optional"):
                return None
            raise ContainerConfigError(f'{kind.lower()} "{name}" not found')
        value = text_of(data, key)
        if value is None:
            if reference.get("optional"):
                return None
            namespace = pod["metadata"]["namespace"]
            raise ContainerConfigError(f"couldn't find key {key} in {kind} {namespace}/{name}")
        return value.decode(errors="replace")
    raise ContainerConfigError(f"unsupported valueFrom: {', '.join(source) or 'nothing'}")


def _container(reference: Object, default: Object, pod: Object) -> Object:
    name = reference.get("containerName")
    if not name:
        return default
    spec = pod["spec"]
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        if container["name"] == name:
            return dict(container)
    raise ContainerConfigError(f"container {name} not found")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
