"""Which Service a request is for: Ingress rules and Service host names. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kubesandbox.client import Object


@dataclass(frozen=True, slots=True)
class Backend:
    """A port of a Service, by its name or its number as text."""

    namespace: str
    service: str
    port: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One Ingress path. `host` is empty for every host, and may begin with `*.`."""

    host: str
    path: str
    exact: bool
    backend: Backend

    def fits(self, host: str, path: str) -> bool:
        return self._fits_host(host) and self._fits_path(path)

    def _fits_host(self, host: str) -> bool:
        if self.host.startswith("*."):
            first, _, rest = host.partition(".")
            return bool(first) and rest == self.host[2:]
        return self.host in ("", host)

    def _fits_path(self, path: str) -> bool:
        if self.exact:
            return path == self.path
        prefix = self.path.rstrip("/")
        return path == prefix or path.startswith(f"{prefix}/") or not prefix

    @property
    def rank(self) -> tuple[object, ...]:
        """Lower wins: a named host before a wildcard before none, exact before prefix, longer before shorter."""
        return (not self.host, self.host.startswith("*."), -len(self.path), not self.exact)


def rules(ingresses: Iterable[Object]) -> list[Rule]:
    """All rules, those that win first. Default backends come last."""
    found: list[tuple[bool, Rule]] = []
    for ingress in sorted(ingresses, key=_age):
        namespace, spec = ingress["metadata"]["namespace"], ingress.get("spec") or {}
        for rule in spec.get("rules") or ():
            for path in (rule.get("http") or {}).get("paths") or ():
                backend = _backend(namespace, path["backend"])
                if backend is not None:
                    exact = path["pathType"] == "Exact"
                    host = (rule.get("host") or "").lower()
                    found.append((False, Rule(host, path.get("path") or "/", exact, backend)))
        default = _backend(namespace, spec["defaultBackend"]) if spec.get("defaultBackend") else None
        if default is not None:
            found.append((True, Rule("", "/", False, default)))
    found.sort(key=lambda item: (item[0], item[1].rank))
    return [rule for _, rule in found]


_SERVICE_HOST = re.compile(r"(?P<service>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(\.cluster\.local)?\.?")


def service_host(host: str, port: int) -> Backend | None:
    """`web.shop.svc`, `web.shop.svc.cluster.local`: the Service's port of that number, 80 if none is said."""
    match = _SERVICE_HOST.fullmatch(host)
    return Backend(match["namespace"], match["service"], str(port)) if match else None


def split_host(header: str) -> tuple[str, int]:
    """Name, in small letters, and port of a Host header."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d+))?", header.strip())
    if match is None:
        return "", 80
    return match[1].lower(), int(match[2] or 80)


def addresses(backend: Backend, service: Object, slices: Iterable[Object]) -> list[tuple[str, int, str]]:
    """(announced address, port, node) of the endpoints that are ready for this port of the Service.

    When none is ready, those that end but still serve, as kube-proxy does.
    """
    port = next(
        (p for p in service["spec"].get("ports") or () if backend.port in (p.get("name"), str(p["port"]))), None
    )
    if port is None:
        return []
    ready, serving = [], []
    for held in slices:
        number = next((p["port"] for p in held.get("ports") or () if p.get("name", "") == port.get("name", "")), None)
        if number is None:
            continue
        for endpoint in held.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            entry = (endpoint["addresses"][0], number, endpoint.get("nodeName", ""))
            if conditions.get("ready", True):
                ready.append(entry)
            elif conditions.get("serving") and conditions.get("terminating"):
                serving.append(entry)
    return ready or serving


def _backend(namespace: str, backend: Object) -> Backend | None:
    service = backend.get("service")
    if not service:
        return None
    port = service.get("port") or {}
    return Backend(namespace, service["name"], str(port.get("name") or port.get("number")))


def _age(obj: Object) -> tuple[str, str, str]:
    metadata = obj["metadata"]
    return metadata.get("creationTimestamp") or "", metadata["namespace"], metadata["name"]
