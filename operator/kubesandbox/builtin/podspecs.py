"""PodSpecs and pod templates: defaults and validation (kubernetes pkg/apis/core/v1/defaults.go and validation.go)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kubesandbox import metadata, names
from kubesandbox.objects import Json, Object, child, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause

RESTART_POLICIES = ["Always", "OnFailure", "Never"]


def default_template(template: Object) -> None:
    """Fill in a pod template's spec."""
    default_spec(child(template, "spec"))


def default_spec(spec: Object) -> None:
    """Fill in a PodSpec."""
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
        last = image.rsplit("/", 1)[-1]
        moving = "@" not in last and (":" not in last or last.endswith(":latest"))
        container["imagePullPolicy"] = "Always" if moving else "IfNotPresent"
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
    for item in dig(volume, "downwardAPI", "items") or ():
        _default_field_ref(item.get("fieldRef"))
    for source in dig(volume, "projected", "sources") or ():
        if source.get("serviceAccountToken") is not None:
            source["serviceAccountToken"].setdefault("expirationSeconds", 3600)
        for item in dig(source, "downwardAPI", "items") or ():
            _default_field_ref(item.get("fieldRef"))


def validate_template(template: Object, path: str, restart: list[str]) -> list[Cause]:
    """What is wrong with a pod template; `restart` are the policies its owner allows."""
    found = metadata.labels(dig(template, "metadata", "labels"), f"{path}.metadata.labels")
    found += validate_spec(template.get("spec") or {}, f"{path}.spec")
    policy = dig(template, "spec", "restartPolicy")
    if policy in RESTART_POLICIES and policy not in restart:
        found.append(causes.not_supported(f"{path}.spec.restartPolicy", policy, restart))
    return found


def validate_spec(spec: Object, path: str) -> list[Cause]:
    """What is wrong with a PodSpec."""
    found: list[Cause] = []
    volumes = _volumes(spec.get("volumes") or [], f"{path}.volumes", found)
    if not spec.get("containers"):
        found.append(causes.required(f"{path}.containers"))
    seen: set[str] = set()
    for key in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(key) or ()):
            at = f"{path}.{key}[{index}]"
            found += _container(container, at, volumes)
            name = container.get("name") or ""
            if name and name in seen:
                found.append(causes.duplicate(f"{at}.name", name))
            seen.add(name)
    if spec.get("restartPolicy") not in RESTART_POLICIES:
        found.append(causes.not_supported(f"{path}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES))
    if spec.get("dnsPolicy") not in {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"}:
        supported = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]
        found.append(causes.not_supported(f"{path}.dnsPolicy", spec.get("dnsPolicy"), supported))
    grace = spec.get("terminationGracePeriodSeconds")
    if isinstance(grace, int) and grace < 0:
        found.append(causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, NON_NEGATIVE))
    for key in ("serviceAccountName", "nodeName"):
        if spec.get(key):
            found += [causes.invalid(f"{path}.{key}", spec[key], text) for text in names.subdomain(spec[key])]
    return found


NON_NEGATIVE = "must be greater than or equal to 0"


def _volumes(volumes: list[Object], path: str, found: list[Cause]) -> set[str]:
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        name, at = volume.get("name") or "", f"{path}[{index}]"
        if not name:
            found.append(causes.required(f"{at}.name"))
        else:
            found += [causes.invalid(f"{at}.name", name, text) for text in names.label(name)]
            if name in seen:
                found.append(causes.duplicate(f"{at}.name", name))
        sources = [key for key in volume if key != "name"]
        if len(sources) > 1:
            found += [
                causes.forbidden(f"{at}.{key}", "may not specify more than 1 volume type")
                for key in sorted(sources)[1:]
            ]
        seen.add(name)
    return seen


def _container(container: Object, path: str, volumes: set[str]) -> list[Cause]:
    found: list[Cause] = []
    name = container.get("name") or ""
    if not name:
        found.append(causes.required(f"{path}.name"))
    else:
        found += [causes.invalid(f"{path}.name", name, text) for text in names.label(name)]
    image = container.get("image") or ""
    if not image:
        found.append(causes.required(f"{path}.image"))
    elif image != image.strip():
        found.append(causes.invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    if container.get("imagePullPolicy") not in {"Always", "IfNotPresent", "Never"}:
        supported = ["Always", "IfNotPresent", "Never"]
        found.append(causes.not_supported(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), supported))
    found += _ports(container.get("ports") or [], f"{path}.ports")
    for index, variable in enumerate(container.get("env") or ()):
        at = f"{path}.env[{index}]"
        if not variable.get("name"):
            found.append(causes.required(f"{at}.name"))
        elif "=" in variable["name"] or not variable["name"].isprintable():
            text = "a valid environment variable name must consist only of printable ASCII characters other than '='"
            found.append(causes.invalid(f"{at}.name", variable["name"], text))
        if variable.get("value") and variable.get("valueFrom"):
            text = "may not be specified when `value` is not empty"
            found.append(causes.invalid(f"{at}.valueFrom", "", text))
    return found + _mounts(container.get("volumeMounts") or [], f"{path}.volumeMounts", volumes)


def _ports(ports: list[Object], path: str) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at, name, number = f"{path}[{index}]", port.get("name"), port.get("containerPort")
        if name:
            found += [causes.invalid(f"{at}.name", name, text) for text in port_name(name)]
            if name in seen:
                found.append(causes.duplicate(f"{at}.name", name))
            seen.add(name)
        if not number:
            found.append(causes.required(f"{at}.containerPort"))
        elif not 0 < number < 65536:
            found.append(causes.invalid(f"{at}.containerPort", number, PORT_RANGE))
        if port.get("protocol") not in PROTOCOLS:
            found.append(causes.not_supported(f"{at}.protocol", port.get("protocol"), PROTOCOLS))
    return found


PORT_RANGE = "must be between 1 and 65535, inclusive"
PROTOCOLS = ["SCTP", "TCP", "UDP"]


def port_name(name: str) -> list[str]:
    """What is wrong with a port's name (IANA_SVC_NAME)."""
    found: list[str] = []
    if len(name) > 15:
        found.append(names.too_long(15))
    if not all(c.isascii() and (c.islower() or c.isdigit() or c == "-") for c in name):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any(c.isascii() and c.islower() for c in name):
        found.append("must contain at least one letter (a-z)")
    if "--" in name:
        found.append("must not contain consecutive hyphens")
    if name[:1] == "-" or name[-1:] == "-":
        found.append("must not begin or end with a hyphen")
    return found


def _mounts(mounts: list[Object], path: str, volumes: set[str]) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        at, name, target = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            found.append(causes.required(f"{at}.name"))
        if name not in volumes:
            found.append(Cause(f"{at}.name", "FieldValueNotFound", f"Not found: {causes.quote(name)}"))
        if not target:
            found.append(causes.required(f"{at}.mountPath"))
        if target in seen:
            found.append(causes.invalid(f"{at}.mountPath", target, "must be unique"))
        seen.add(target)
    return found
