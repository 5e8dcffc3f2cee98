"""Ingresses, their classes and NetworkPolicies: defaults and validation."""

from __future__ import annotations

from collections.abc import Iterator

from kubesandbox import metadata, names
from kubesandbox.builtin import network_rules, podspecs
from kubesandbox.builtin.label_selectors import validate_selector
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Object, child, dig
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request


class IngressStrategy(BuiltinStrategy):
    """Ingresses."""

    checks_whole = "core"
    counts_generations = True
    has_status = True

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        spec = obj.get("spec") or {}
        found: list[Cause] = []
        if not spec.get("rules") and spec.get("defaultBackend") is None:
            text = "either `defaultBackend` or `rules` must be specified"
            found.append(causes.invalid("spec", spec.get("rules") or None, text))
        if spec.get("defaultBackend") is not None:
            found += _backend(spec["defaultBackend"], "spec.defaultBackend")
        for index, rule in enumerate(spec.get("rules") or ()):
            at, host = f"spec.rules[{index}]", rule.get("host") or ""
            if host:
                found += network_rules.validate_host(host, f"{at}.host")
            if rule.get("http") is not None and not rule["http"].get("paths"):
                found.append(causes.required(f"{at}.http.paths"))
            for number, path in enumerate(dig(rule, "http", "paths") or ()):
                found += _path(path, f"{at}.http.paths[{number}]")
        found += network_rules.validate_tls(spec.get("tls") or [])
        name = spec.get("ingressClassName")
        if name is not None:
            found += [causes.invalid("spec.ingressClassName", name, text) for text in names.subdomain(name)]
        return found


PATH_TYPES = ["Exact", "ImplementationSpecific", "Prefix"]


def _path(path: Object, at: str) -> list[Cause]:
    found: list[Cause] = []
    kind, text = path.get("pathType"), path.get("path") or ""
    if kind is None:
        return [causes.required(f"{at}.pathType", "pathType must be specified")]
    if kind in {"Exact", "Prefix"}:
        if not text.startswith("/"):
            found.append(causes.invalid(f"{at}.path", text, "must be an absolute path"))
        found += [
            causes.invalid(f"{at}.path", text, f"must not contain '{wrong}'")
            for wrong in ("//", "/./", "/../", "%2f", "%2F")
            if wrong in text
        ]
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            found.append(causes.invalid(f"{at}.path", text, "must be an absolute path"))
    else:
        found.append(causes.not_supported(f"{at}.pathType", kind, PATH_TYPES))
    return found + _backend(path.get("backend") or {}, f"{at}.backend")


def _backend(backend: Object, at: str) -> list[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [causes.invalid(at, "", "cannot set both resource and service backends")]
    if resource is not None:
        return list(_reference(resource, f"{at}.resource"))
    if service is None:
        return [causes.invalid(at, "", "resource or service backend is required")]
    found: list[Cause] = []
    if not service.get("name"):
        found.append(causes.required(f"{at}.service.name"))
    else:
        found += [causes.invalid(f"{at}.service.name", service["name"], text) for text in names.label(service["name"])]
    port = service.get("port") or {}
    if port.get("name") and port.get("number"):
        found.append(causes.invalid(at, "", "cannot set both port name & port number"))
    elif not port.get("name") and not port.get("number"):
        found.append(causes.required(at, "port name or number is required"))
    elif port.get("number") and not 0 < port["number"] < 65536:
        found.append(causes.invalid(f"{at}.service.port.number", port["number"], podspecs.PORT_RANGE))
    elif port.get("name"):
        wrong = podspecs.port_name(port["name"])
        found += [causes.invalid(f"{at}.service.port.name", port["name"], text) for text in wrong]
    return found


_DIRECTIONS = ["Ingress", "Egress"]


class NetworkPolicyStrategy(BuiltinStrategy):
    """NetworkPolicies: kept, and enforced by nobody, as in a cluster without such a network plugin."""

    counts_generations = True

    def default(self, obj: Object) -> None:
        spec = child(obj, "spec")
        for rule in (*(spec.get("ingress") or ()), *(spec.get("egress") or ())):
            for port in rule.get("ports") or ():
                port.setdefault("protocol", "TCP")
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        found = validate_selector(obj["spec"].get("podSelector") or {}, "spec.podSelector")
        kinds = obj["spec"]["policyTypes"]
        for index, kind in enumerate(kinds if len(kinds) <= len(_DIRECTIONS) else ()):
            if kind not in _DIRECTIONS:
                found.append(causes.not_supported(f"spec.policyTypes[{index}]", kind, _DIRECTIONS))
        return found + list(network_rules.validate_rules(obj["spec"]))


class IngressClassStrategy(BuiltinStrategy):
    """IngressClasses."""

    checks_whole = "core"
    counts_generations = True

    def default(self, obj: Object) -> None:
        parameters = dig(obj, "spec", "parameters")
        if parameters is not None and parameters.get("scope") is None:
            parameters["scope"] = "Cluster"

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        return [*_controller(dig(obj, "spec", "controller") or ""), *_parameters(dig(obj, "spec", "parameters"))]

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        controller = dig(obj, "spec", "controller")
        found = self.validate(obj, request)
        if controller != dig(old, "spec", "controller"):
            found.append(causes.invalid("spec.controller", controller, metadata.IMMUTABLE))
        return found


def _controller(controller: str) -> list[Cause]:
    if not controller:
        return [causes.required("spec.controller")]
    host, _, path = controller.partition("/")
    if not host or not path:
        text = 'must be a domain-prefixed path (such as "acme.io/foo")'
        return [causes.invalid("spec.controller", controller, text)]
    return [causes.invalid("spec.controller", host, text) for text in names.subdomain(host)]


def _parameters(parameters: Object | None) -> Iterator[Cause]:
    if parameters is None:
        return
    at = "spec.parameters"
    yield from _reference(parameters, at)
    scope, namespace = parameters["scope"], parameters.get("namespace")
    if scope not in {"Cluster", "Namespace"}:
        yield causes.not_supported(f"{at}.scope", scope, ["Cluster", "Namespace"])
    elif scope == "Namespace":
        if namespace is None:
            yield causes.required(f"{at}.namespace", "`parameters.scope` is set to 'Namespace'")
        else:
            yield from (causes.invalid(f"{at}.namespace", namespace, text) for text in names.label(namespace))
    elif namespace is not None:
        yield causes.forbidden(f"{at}.namespace", "`parameters.scope` is set to 'Cluster'")


def _reference(reference: Object, at: str) -> Iterator[Cause]:
    """What is wrong with a reference to an object of any kind."""
    group = reference.get("apiGroup")
    if group is not None:
        yield from (causes.invalid(f"{at}.apiGroup", group, text) for text in names.subdomain(group))
    for key in ("kind", "name"):
        value = reference.get(key)
        if not value:
            yield causes.required(f"{at}.{key}")
        else:
            yield from (causes.invalid(f"{at}.{key}", value, text) for text in names.path_segment(value))
