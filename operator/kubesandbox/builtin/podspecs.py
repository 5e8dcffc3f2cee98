"""PodSpecs and pod templates: defaults and validation (kubernetes pkg/apis/core/v1/defaults.go and validation.go)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kubesandbox import metadata, names
from kubesandbox.builtin.containers import (
    ID_RANGE,
    PORT_RANGE,
    PROTOCOLS,
    port_name,
    validate_containers,
    validate_ids,
    validate_seccomp,
)
from kubesandbox.builtin.placement import ADDRESS, is_address, validate_placement
from kubesandbox.builtin.volumes import validate_volumes
from kubesandbox.objects import Json, Object, child, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause

RESTART_POLICIES = ["Always", "OnFailure", "Never"]


def default_template(template: Object) -> None:
    """Fill in a pod template's spec."""
    default_spec(child(template, "spec"))


def default_spec(spec: Object) -> None:
    """Fill in a PodSpec."""
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:  # the old name goes with the new one
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    for container in containers(spec):
        _default_container(container, host_network=bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or ():
        _default_volume(volume)


def containers(spec: Mapping[str, Json]) -> Iterator[Object]:
    """All containers of a PodSpec."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(key) or ()


def _default_container(container: Object, *, host_network: bool) -> None:
    image = container.get("image") or ""
    if "imagePullPolicy" not in container:
        container["imagePullPolicy"] = "Always" if _moving(image) else "IfNotPresent"
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network:
            port.setdefault("hostPort", port.get("containerPort"))
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe) is not None:
            _default_probe(container[probe])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _default_http(hook.get("httpGet"))
    for variable in container.get("env") or ():
        _default_field_ref(dig(variable, "valueFrom", "fieldRef"))
        resource = dig(variable, "valueFrom", "resourceFieldRef")
        if resource is not None:
            resource.setdefault("divisor", "0")


_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?{_PART}(?:/{_PART})*")


def _moving(image: str) -> bool:
    """Whether an image's tag is `latest`; what is no image's name has no tag (parsers.ParseImageName)."""
    last = image.rsplit("/", 1)[-1]
    if "@" in last or (":" in last and not last.endswith(":latest")):
        return False
    return bool(_REPOSITORY.fullmatch(image.removesuffix(":latest")))


def _default_probe(probe: Object) -> None:
    for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        if not probe.get(key):
            probe[key] = value
    _default_http(probe.get("httpGet"))
    if probe.get("grpc") is not None:
        probe["grpc"].setdefault("service", "")


def _default_http(action: Object | None) -> None:
    if action is not None:
        action.setdefault("path", "/")
        action.setdefault("scheme", "HTTP")


def _default_field_ref(ref: Object | None) -> None:
    if ref is not None:
        ref.setdefault("apiVersion", "v1")


def _default_volume(volume: Object) -> None:
    if len(volume) <= 1:
        volume["emptyDir"] = {}
    for source in ("secret", "configMap", "downwardAPI", "projected"):
        if volume.get(source) is not None:
            volume[source].setdefault("defaultMode", 0o644)
    if volume.get("hostPath") is not None:
        volume["hostPath"].setdefault("type", "")
    _default_items(volume.get("downwardAPI"))
    claim = dig(volume, "ephemeral", "volumeClaimTemplate", "spec")
    if claim is not None:
        claim.setdefault("volumeMode", "Filesystem")
    if volume.get("iscsi") is not None:
        volume["iscsi"].setdefault("iscsiInterface", "default")
    if volume.get("image") is not None:
        moving = _moving(volume["image"].get("reference") or "")
        volume["image"].setdefault("pullPolicy", "Always" if moving else "IfNotPresent")
    for source in dig(volume, "projected", "sources") or ():
        if source.get("serviceAccountToken") is not None:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        _default_items(source.get("downwardAPI"))


def _default_items(source: Object | None) -> None:
    """What items of the downward API stand for where they do not say it."""
    for item in (source or {}).get("items") or ():
        _default_field_ref(item.get("fieldRef"))
        if item.get("resourceFieldRef") is not None:
            item["resourceFieldRef"].setdefault("divisor", "0")


def validate_template(template: Object, path: str, restart: list[str]) -> list[Cause]:
    """What is wrong with a pod template; `restart` are the policies its owner allows."""
    meta = template.get("metadata") or {}
    found = metadata.labels(meta.get("labels"), f"{path}.labels")
    found += metadata.annotation_causes(meta.get("annotations"), f"{path}.annotations")
    spec = template.get("spec") or {}
    found += validate_spec(spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        found.append(causes.forbidden(f"{path}.spec.ephemeralContainers", text))
    policy = spec.get("restartPolicy")
    if policy in RESTART_POLICIES and policy not in restart:
        found.append(causes.not_supported(f"{path}.spec.restartPolicy", policy, restart))
    return found


def validate_spec(spec: Object, path: str) -> list[Cause]:
    """What is wrong with a PodSpec."""
    found: list[Cause] = []
    found += validate_volumes(spec.get("volumes") or [], f"{path}.volumes", volumes := set[str]())
    found += validate_containers(spec, path, volumes)
    if spec.get("restartPolicy") not in RESTART_POLICIES:
        found.append(causes.not_supported(f"{path}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES))
    found += _dns(spec, path)
    found += metadata.labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    found += _pod_security(spec, path)
    found += validate_placement(spec, path)
    for key in ("serviceAccountName", "nodeName", "runtimeClassName"):
        if spec.get(key):
            found += [causes.invalid(f"{path}.{key}", spec[key], text) for text in names.subdomain(spec[key])]
    for key in ("hostname", "subdomain"):
        if spec.get(key):
            found += [causes.invalid(f"{path}.{key}", spec[key], text) for text in names.label(spec[key])]
    found += _times(spec, path)
    preemption = spec.get("preemptionPolicy")
    if preemption is not None and preemption not in {"PreemptLowerPriority", "Never"}:
        supported = ["Never", "PreemptLowerPriority"]
        found.append(causes.not_supported(f"{path}.preemptionPolicy", preemption, supported))
    system = dig(spec, "os", "name")
    if spec.get("os") is not None and not system:
        found.append(causes.required(f"{path}.os.name"))
    elif spec.get("os") is not None and system not in {"linux", "windows"}:
        found.append(causes.not_supported(f"{path}.os", system, ["linux", "windows"]))
    return found + list(_gates(spec, path))


def _gates(spec: Object, path: str) -> Iterator[Cause]:
    """What is wrong with what holds a pod back from its scheduler, and with its kernel's settings."""
    seen: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        name, at = gate.get("name") or "", f"{path}.schedulingGates[{index}]"
        yield from (causes.invalid(at, name, text) for text in names.label_key(name))
        if name in seen:
            yield causes.duplicate(at, name)
        seen.add(name)
    for index, setting in enumerate(dig(spec, "securityContext", "sysctls") or ()):
        if not setting.get("name"):
            yield causes.required(f"{path}.securityContext.sysctls[{index}].name")
    for index, server in enumerate(dig(spec, "dnsConfig", "nameservers") or ()):
        if not is_address(server):
            yield causes.invalid(f"{path}.dnsConfig.nameservers[{index}]", server, ADDRESS)


def _times(spec: Object, path: str) -> list[Cause]:
    found: list[Cause] = []
    grace, deadline = spec.get("terminationGracePeriodSeconds"), spec.get("activeDeadlineSeconds")
    if isinstance(grace, int) and grace < 0 and path != "spec":  # a pod's own is 1 then, a template's is refused
        found.append(causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, NON_NEGATIVE))
    if deadline is not None and not 0 < deadline < 2**31:
        text = "must be between 1 and 2147483647, inclusive"
        found.append(causes.invalid(f"{path}.activeDeadlineSeconds", deadline, text))
    return found


_DNS_POLICIES = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]


def _dns(spec: Object, path: str) -> list[Cause]:
    policy, config = spec.get("dnsPolicy"), spec.get("dnsConfig")
    if policy not in _DNS_POLICIES:
        return [causes.not_supported(f"{path}.dnsPolicy", policy, _DNS_POLICIES)]
    if policy == "None":
        if config is None:
            return [causes.required(f"{path}.dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [causes.required(f"{path}.dnsConfig.nameservers", text)]
    return []


def _pod_security(spec: Object, path: str) -> list[Cause]:
    context, at = spec.get("securityContext") or {}, f"{path}.securityContext"
    found = validate_ids(context, at, "runAsUser", "runAsGroup", "fsGroup")
    found += [
        causes.invalid(f"{at}.supplementalGroups[{index}]", group, ID_RANGE)
        for index, group in enumerate(context.get("supplementalGroups") or ())
        if not 0 <= group < 2**31
    ]
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        found.append(causes.invalid(f"{at}.shareProcessNamespace", True, text))
    policy = context.get("fsGroupChangePolicy")
    if policy is not None and policy not in {"OnRootMismatch", "Always"}:
        found.append(causes.not_supported(f"{at}.fsGroupChangePolicy", policy, ["Always", "OnRootMismatch"]))
    return found + validate_seccomp(context.get("seccompProfile"), f"{at}.seccompProfile")


NON_NEGATIVE = "must be greater than or equal to 0"


__all__ = [
    "NON_NEGATIVE",
    "PORT_RANGE",
    "PROTOCOLS",
    "RESTART_POLICIES",
    "containers",
    "default_spec",
    "default_template",
    "port_name",
    "validate_spec",
    "validate_template",
]
