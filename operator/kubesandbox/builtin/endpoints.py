"""Endpoints and EndpointSlices: defaults and validation."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from kubesandbox import metadata, names
from kubesandbox.builtin import network_rules, podspecs
from kubesandbox.builtin.placement import is_address
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Object
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request


class EndpointsStrategy(BuiltinStrategy):
    """Endpoints."""

    checks_whole = "core"
    creates_on_update = True

    def default(self, obj: Object) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                port.setdefault("protocol", "TCP")

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        found: list[Cause] = []
        for index, subset in enumerate(obj.get("subsets") or ()):
            at = f"subsets[{index}]"
            if not subset.get("addresses") and not subset.get("notReadyAddresses"):
                found.append(causes.required(at, "must specify `addresses` or `notReadyAddresses`"))
            for key in ("addresses", "notReadyAddresses"):
                for number, address in enumerate(subset.get(key) or ()):
                    found += network_rules.endpoint_address(address.get("ip") or "", f"{at}.{key}[{number}].ip")
                    found += _host(address, f"{at}.{key}[{number}]")
            ports = subset.get("ports") or []
            for number, port in enumerate(ports):
                found += _port_name(port, f"{at}.ports[{number}]", needed=len(ports) > 1)
                if port["protocol"] not in _PROTOCOLS:
                    found.append(causes.not_supported(f"{at}.ports[{number}].protocol", port["protocol"], _PROTOCOLS))
                if not 0 < (port.get("port") or 0) < 65536:
                    found.append(causes.invalid(f"{at}.ports[{number}].port", port.get("port"), podspecs.PORT_RANGE))
        return found


def _port_name(port: Object, path: str, *, needed: bool) -> Iterator[Cause]:
    name, protocol = port.get("name") or "", port.get("appProtocol")
    if needed and not name:
        yield causes.required(f"{path}.name")
    elif name:
        yield from (causes.invalid(f"{path}.name", name, text) for text in names.label(name))
    if protocol is not None:
        yield from (causes.invalid(f"{path}.appProtocol", protocol, text) for text in names.label_key(protocol))


def _host(endpoint: Object, path: str) -> Iterator[Cause]:
    """What is wrong with an endpoint's host name and node."""
    if endpoint.get("hostname"):
        yield from (
            causes.invalid(f"{path}.hostname", endpoint["hostname"], t) for t in names.label(endpoint["hostname"])
        )
    if endpoint.get("nodeName") is not None:
        node = endpoint["nodeName"]
        yield from (causes.invalid(f"{path}.nodeName", node, text) for text in names.subdomain(node))


class EndpointSliceStrategy(BuiltinStrategy):
    """EndpointSlices."""

    checks_change = ""
    checks_whole = "core"
    counts_generations = True

    def default(self, obj: Object) -> None:
        if obj.get("endpoints") == []:
            obj["endpoints"] = None  # as it comes back from etcd
        for endpoint in obj.get("endpoints") or ():
            endpoint.pop("deprecatedTopology", None)  # of v1beta1
        for port in obj.get("ports") or ():
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        kind = obj.get("addressType") or ""
        found: list[Cause] = []
        if not kind:
            found.append(causes.required("addressType"))
        elif kind not in _ADDRESS_TYPES:
            found.append(causes.not_supported("addressType", kind, _ADDRESS_TYPES))
        for index, endpoint in enumerate(obj.get("endpoints") or ()):
            found += _addresses(endpoint.get("addresses") or [], kind, f"endpoints[{index}].addresses")
            found += _host(endpoint, f"endpoints[{index}]")
            found += _hints(endpoint.get("hints") or {}, f"endpoints[{index}].hints")
        return found + list(_slice_ports(obj.get("ports") or []))

    def spec_changed(self, obj: Object, old: Object) -> bool:
        labels = [it["metadata"].get("labels") or {} for it in (obj, old)]
        return labels[0] != labels[1] or super().spec_changed(obj, old)

    def validate_update(self, obj: Object, old: Object, request: Request) -> list[Cause]:
        found = self.validate(obj, request)
        if obj.get("addressType") != old.get("addressType"):
            found.append(causes.invalid("addressType", obj.get("addressType"), metadata.IMMUTABLE))
        return found


_ADDRESS_TYPES = ["FQDN", "IPv4", "IPv6"]
_FAMILIES = {"IPv4": (4, "must be an IPv4 address"), "IPv6": (6, "must be an IPv6 address")}


def _addresses(addresses: list[str], kind: str, path: str) -> list[Cause]:
    if not addresses:
        return [causes.required(path, "must contain at least 1 address")]
    found: list[Cause] = []
    for number, address in enumerate(addresses if kind in _FAMILIES else ()):
        version, text = _FAMILIES[kind]
        if is_address(address) and ipaddress.ip_address(address).version != version:
            found.append(causes.invalid(path, address, text))  # the list, as ValidateEndpointSlice has it
        found += network_rules.endpoint_address(address, f"{path}[{number}]")
    return found


def _hints(hints: Object, path: str) -> Iterator[Cause]:
    """What is wrong with the zones and nodes that an endpoint is for."""
    for key in ("forZones", "forNodes"):
        seen: set[str] = set()
        for index, hint in enumerate(hints.get(key) or ()):
            name = hint.get("name") or ""
            if name in seen:
                yield causes.duplicate(f"{path}.{key}[{index}].name", name)
            seen.add(name)
            wrong = names.subdomain(name) if key == "forNodes" else names.label_value(name)
            yield from (causes.invalid(f"{path}.{key}[{index}].name", name, text) for text in wrong)


def _slice_ports(ports: list[Object]) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        name, at = port.get("name") or "", f"ports[{index}]"
        if name in seen:
            yield causes.duplicate(f"{at}.name", name)
        elif name:
            yield from (causes.invalid(f"{at}.name", name, text) for text in names.label(name))
        seen.add(name)
        if port.get("protocol") not in _PROTOCOLS:
            yield causes.not_supported(f"{at}.protocol", port.get("protocol"), _PROTOCOLS)
        if port.get("appProtocol") is not None:
            yield from (
                causes.invalid(f"{at}.appProtocol", port["appProtocol"], t)
                for t in names.label_key(port["appProtocol"])
            )


_PROTOCOLS = ["SCTP", "TCP", "UDP"]
