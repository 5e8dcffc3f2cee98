"""What may be wrong with containers (kubernetes pkg/apis/core/validation/validation.go)."""

from __future__ import annotations

from collections.abc import Iterator

from kubesandbox import names
from kubesandbox.builtin import environments, handlers
from kubesandbox.builtin.quantities import validate_resources
from kubesandbox.objects import Object, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause

PORT_RANGE = "must be between 1 and 65535, inclusive"
PROTOCOLS = ["SCTP", "TCP", "UDP"]
ID_RANGE = "must be between 0 and 2147483647, inclusive"
_PULL_POLICIES = ["Always", "IfNotPresent", "Never"]
_MESSAGE_POLICIES = ["File", "FallbackToLogsOnError"]
_RESTART_POLICIES = ["Always", "Never", "OnFailure"]


def port_name(name: str) -> list[str]:
    """What is wrong with a port's name (IANA_SVC_NAME)."""
    found: list[str] = []
    if len(name) > 15:
        found.append(names.too_long(15))
    if not name or not all(c.isascii() and (c.islower() or c.isdigit() or c == "-") for c in name):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any(c.isascii() and c.islower() for c in name):
        found.append("must contain at least one letter (a-z)")
    if "--" in name:
        found.append("must not contain consecutive hyphens")
    if name[:1] == "-" or name[-1:] == "-":
        found.append("must not begin or end with a hyphen")
    return found


def validate_containers(spec: Object, path: str, volumes: set[str]) -> list[Cause]:
    """What is wrong with a PodSpec's containers; `volumes` are the names that they can mount."""
    found: list[Cause] = []
    if not spec.get("containers"):
        found.append(causes.required(f"{path}.containers"))
    seen: set[str] = set()
    host_ports: set[str] = set()
    grace = spec.get("terminationGracePeriodSeconds")
    for key in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(key) or ()):
            at = f"{path}.{key}[{index}]"
            found += _container(container, at, volumes)
            name = container.get("name") or ""
            if name and name in seen:
                found.append(causes.duplicate(f"{at}.name", name))
            seen.add(name)
            found += _running(container, at, grace if isinstance(grace, int) else 30, init=key == "initContainers")
            found += _host_ports(container, at, host_ports if key == "containers" else set(), spec)
    return found


def _running(container: Object, path: str, grace: int, *, init: bool) -> list[Cause]:
    """Restart policy, hooks and probes, which init containers have only as sidecars."""
    found: list[Cause] = []
    policy = container.get("restartPolicy")
    if policy is not None and policy not in _RESTART_POLICIES:
        found.append(causes.not_supported(f"{path}.restartPolicy", policy, _RESTART_POLICIES))
    if init and policy != "Always":
        text = "may not be set for init containers without restartPolicy=Always"
        return found + [
            causes.forbidden(f"{path}.{key}", text)
            for key in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
            if container.get(key) is not None
        ]
    for hook in ("postStart", "preStop"):
        action = dig(container, "lifecycle", hook)
        if action is not None:
            found += handlers.validate_handler(action, f"{path}.lifecycle.{hook}", grace)
    return found + handlers.validate_probes(container, path)


def _container(container: Object, path: str, volumes: set[str]) -> list[Cause]:
    found: list[Cause] = []
    name, image = container.get("name") or "", container.get("image") or ""
    if not name:
        found.append(causes.required(f"{path}.name"))
    else:
        found += [causes.invalid(f"{path}.name", name, text) for text in names.label(name)]
    if not image:
        found.append(causes.required(f"{path}.image"))
    elif image != image.strip() and path.count(".") == 1:  # of pods, not of templates
        found.append(causes.invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    policy = container.get("terminationMessagePolicy")
    if policy not in _MESSAGE_POLICIES:
        found.append(causes.not_supported(f"{path}.terminationMessagePolicy", policy or "", _MESSAGE_POLICIES))
    found += _ports(container.get("ports") or [], f"{path}.ports")
    found += environments.validate_env(container.get("env") or [], f"{path}.env")
    found += environments.validate_env_from(container.get("envFrom") or [], f"{path}.envFrom")
    found += _mounts(container.get("volumeMounts") or [], f"{path}.volumeMounts", volumes)
    pull = container.get("imagePullPolicy")
    if pull not in _PULL_POLICIES:
        found.append(causes.not_supported(f"{path}.imagePullPolicy", pull or "", _PULL_POLICIES))
    found += validate_resources(container.get("resources") or {}, f"{path}.resources")
    security = container.get("securityContext")
    return found + (_security(security, f"{path}.securityContext") if security else [])


def _ports(ports: list[Object], path: str) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        at, name, number = f"{path}[{index}]", port.get("name"), port.get("containerPort")
        if name:
            wrong = port_name(name)
            found += [causes.invalid(f"{at}.name", name, text) for text in wrong]
            if not wrong and name in seen:
                found.append(causes.duplicate(f"{at}.name", name))
            seen.add(name)
        if not number:
            found.append(causes.required(f"{at}.containerPort"))
        elif not 0 < number < 65536:
            found.append(causes.invalid(f"{at}.containerPort", number, PORT_RANGE))
        if port.get("hostPort") and not 0 < port["hostPort"] < 65536:
            found.append(causes.invalid(f"{at}.hostPort", port["hostPort"], PORT_RANGE))
        if port.get("protocol") not in PROTOCOLS:
            found.append(causes.not_supported(f"{at}.protocol", port.get("protocol"), PROTOCOLS))
    return found


def _host_ports(container: Object, path: str, seen: set[str], spec: Object) -> Iterator[Cause]:
    for index, port in enumerate(container.get("ports") or ()):
        if not port.get("hostPort"):
            continue
        at = f"{path}.ports[{index}]"
        taken = f"{port.get('protocol')}/{port.get('hostIP') or ''}/{port['hostPort']}"
        if taken in seen:
            yield causes.duplicate(f"{at}.hostPort", taken)
        seen.add(taken)
        if spec.get("hostNetwork") and port["hostPort"] != port.get("containerPort"):
            text = "must match `hostPort` when `hostNetwork` is true"
            yield causes.invalid(f"{at}.containerPort", port.get("containerPort"), text)


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
        for key in ("subPath", "subPathExpr"):
            found += [causes.invalid(f"{at}.{key}", mount[key], text) for text in descending(mount.get(key) or "")]
        if mount.get("subPath") and mount.get("subPathExpr"):
            text = "subPathExpr and subPath are mutually exclusive"
            found.append(causes.invalid(f"{at}.subPathExpr", mount["subPathExpr"], text))
    return found


def descending(path: str) -> list[str]:
    """What is wrong with a path that must stay below where it begins."""
    found = ["must be a relative path"] if path.startswith("/") else []
    return found + (["must not contain '..'"] if ".." in path.split("/") else [])


def validate_seccomp(profile: Object | None, path: str) -> list[Cause]:
    """What is wrong with a seccompProfile."""
    if profile is None:
        return []
    kinds = ["Localhost", "RuntimeDefault", "Unconfined"]
    kind, local = profile.get("type"), profile.get("localhostProfile")
    if not kind:
        return [causes.required(f"{path}.type", "type is required when seccompProfile is set")]
    if kind not in kinds:
        return [causes.not_supported(f"{path}.type", kind or "", kinds)]
    if kind == "Localhost" and not local:
        return [causes.required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")]
    if kind != "Localhost" and local is not None:
        text = "can only be set when seccomp type is Localhost"
        return [causes.invalid(f"{path}.localhostProfile", local, text)]
    return []


def validate_ids(context: Object, path: str, *keys: str) -> list[Cause]:
    """User and group numbers out of range."""
    return [
        causes.invalid(f"{path}.{key}", context[key], ID_RANGE)
        for key in keys
        if isinstance(context.get(key), int) and not 0 <= context[key] < 2**31
    ]


def _security(context: Object, path: str) -> list[Cause]:
    found = validate_ids(context, path, "runAsUser", "runAsGroup")
    mount = context.get("procMount")
    if mount is not None and mount not in {"Default", "Unmasked"}:
        found.append(causes.not_supported(f"{path}.procMount", mount, ["Default", "Unmasked"]))
    found += validate_seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        text = "cannot set `allowPrivilegeEscalation` to false and "
        if context.get("privileged"):
            found.append(causes.invalid(path, context, f"{text}`privileged` to true"))
        if "CAP_SYS_ADMIN" in (dig(context, "capabilities", "add") or ()):
            found.append(causes.invalid(path, context, f"{text}`capabilities.Add` CAP_SYS_ADMIN"))
    return found
