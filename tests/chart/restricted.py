"""The Pod Security Standard `restricted`, evaluated on a pod's spec.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Manifest = dict[str, Any]

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
    "image",
}


def violations(spec: Manifest) -> list[str]:
    """What `restricted` forbids in a pod, in words; nothing where it holds."""
    return [*_pod(spec), *(problem for container in _containers(spec) for problem in _container(container, spec))]


def _containers(spec: Manifest) -> list[Manifest]:
    return [*spec["containers"], *spec.get("initContainers", []), *spec.get("ephemeralContainers", [])]


def _pod(spec: Manifest) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is set"
    for volume in spec.get("volumes", []):
        for kind in set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is a {kind}"
    context = spec.get("securityContext", {})
    if context.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if context.get("sysctls"):
        yield "sysctls are set"


def _container(container: Manifest, spec: Manifest) -> Iterator[str]:
    name, context, pod = container["name"], container.get("securityContext", {}), spec.get("securityContext", {})
    if context.get("privileged"):
        yield f"{name} is privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation is not false"
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield f"{name} does not drop ALL capabilities"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"{name} adds capabilities"
    if context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield f"{name}: runAsNonRoot is not true"
    if context.get("runAsUser") == 0:
        yield f"{name}: runAsUser is 0"
    seccomp = context.get("seccompProfile", pod.get("seccompProfile", {})).get("type")
    if seccomp not in {"RuntimeDefault", "Localhost"}:
        yield f"{name}: no seccomp profile"
    for port in container.get("ports", []):
        if port.get("hostPort"):
            yield f"{name} takes the host's port {port['hostPort']}"
    if context.get("procMount", "Default") != "Default":
        yield f"{name}: procMount is not Default"
