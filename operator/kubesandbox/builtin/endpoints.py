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
            ports = subset.get("ports") or []
            for number, port in enumerate(ports):
                if len(ports) > 1 and not port.get("name"):
                    found.append(causes.required(f"{at}.ports[{number}].name"))
                if port["protocol"] not in _PROTOCOLS:
                    found.append(causes.not_supported(f"{at}.ports[{number}].protocol", port["protocol"], _PROTOCOLS))
                if not 0 < (port.get("port") or 0) < 65536:
                    found.append(causes.invalid(f"{at}.ports[{number}].port", port.get("port"), podspecs.PORT_RANGE))
        return found


class EndpointSliceStrategy(BuiltinStrategy):
    """EndpointSlices."""

    checks_change = ""
    checks_whole = "core"
    counts_generations = True

    def default(self, obj: Object) -> None:
        if obj.get("endpoints") == []:
            obj["endpoints"] = None  # as it comes back from etcd
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


_PROTOCOLS = ["SCTP", "TCP", "UDP"]
