"""What may be wrong with probes and lifecycle hooks (kubernetes pkg/apis/core/validation/validation.go)."""

from __future__ import annotations

import re

from kubesandbox.objects import Json, Object
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause

_PORT_RANGE = "must be between 1 and 65535, inclusive"
_HEADER = re.compile(r"[-A-Za-z0-9]+")
_SECONDS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def validate_probes(container: Object, path: str) -> list[Cause]:
    """What is wrong with a container's three probes."""
    found: list[Cause] = []
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe, at = container.get(key), f"{path}.{key}"
        if probe is None:
            continue
        found += _probe(probe, at)
        if key == "readinessProbe":
            if probe.get("terminationGracePeriodSeconds") is not None:
                text = "must not be set for readinessProbes"
                grace = probe["terminationGracePeriodSeconds"]
                found.append(causes.invalid(f"{at}.terminationGracePeriodSeconds", grace, text))
        elif probe.get("successThreshold") != 1:
            found.append(causes.invalid(f"{at}.successThreshold", probe.get("successThreshold"), "must be 1"))
    return found


def _probe(probe: Object, path: str) -> list[Cause]:
    found = validate_handler(probe, path, 0)
    for key in _SECONDS:
        if (probe.get(key) or 0) < 0:
            found.append(causes.invalid(f"{path}.{key}", probe[key], "must be greater than or equal to 0"))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        found.append(causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    return found


def validate_handler(handler: Object, path: str, grace: int) -> list[Cause]:
    """What is wrong with what a probe or hook does; `grace` is the longest that a hook may sleep."""
    found: list[Cause] = []
    given = [key for key in ("exec", "httpGet", "tcpSocket", "grpc", "sleep") if handler.get(key) is not None]
    for index, key in enumerate(given):
        at, action = f"{path}.{key}", handler[key]
        if index:
            found.append(causes.forbidden(at, "may not specify more than 1 handler type"))
        elif key == "exec":
            found += [] if action.get("command") else [causes.required(f"{at}.command")]
        elif key == "httpGet":
            found += _http(action, at)
        elif key == "sleep":
            seconds = action.get("seconds") or 0
            if not 0 <= seconds <= grace:
                text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                found.append(causes.invalid(at, seconds, text))
        else:
            found += _port(action.get("port"), f"{at}.port")
    return found or ([] if given else [causes.required(path, "must specify a handler type")])


def _http(action: Object, path: str) -> list[Cause]:
    found = [] if action.get("path") else [causes.required(f"{path}.path")]
    found += _port(action.get("port"), f"{path}.port")
    if action.get("scheme") not in {"HTTP", "HTTPS"}:
        found.append(causes.not_supported(f"{path}.scheme", action.get("scheme"), ["HTTP", "HTTPS"]))
    for header in action.get("httpHeaders") or ():  # which one is not told
        name = header.get("name") or ""
        if not _HEADER.fullmatch(name):
            text = (
                "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used "
                "for validation is '[-A-Za-z0-9]+')"
            )
            found.append(causes.invalid(f"{path}.httpHeaders", name, text))
    return found


def _port(port: Json, path: str) -> list[Cause]:
    from kubesandbox.builtin.containers import port_name

    if isinstance(port, str):
        return [causes.invalid(path, port, text) for text in port_name(port)]
    number = port or 0
    return [] if 0 < number < 65536 else [causes.invalid(path, number, _PORT_RANGE)]
