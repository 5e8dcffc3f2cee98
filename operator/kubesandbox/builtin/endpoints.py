"""Endpoints and EndpointSlices: defaults and validation."""

from __future__ import annotations

from kubesandbox.builtin import network_rules, podspecs
from kubesandbox.builtin.strategy import BuiltinStrategy
from kubesandbox.objects import Object
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause
from kubesandbox.strategy import Request


class EndpointsStrategy(BuiltinStrategy):
    """Endpoints."""

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
            for number, port in enumerate(subset.get("ports") or ()):
                if not 0 < (port.get("port") or 0) < 65536:
                    found.append(causes.invalid(f"{at}.ports[{number}].port", port.get("port"), podspecs.PORT_RANGE))
        return found


class EndpointSliceStrategy(BuiltinStrategy):
    """EndpointSlices."""

    counts_generations = True

    def default(self, obj: Object) -> None:
        for port in obj.get("ports") or ():
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")

    def validate(self, obj: Object, request: Request) -> list[Cause]:
        kinds = ["FQDN", "IPv4", "IPv6"]
        for index, endpoint in enumerate(obj.get("endpoints") or ()):
            if not endpoint.get("addresses"):
                return [causes.required(f"endpoints[{index}].addresses", "must contain at least 1 address")]
        if not obj.get("addressType"):
            return [causes.required("addressType")]
        if obj["addressType"] not in kinds:
            return [causes.not_supported("addressType", obj["addressType"], kinds)]
        if obj["addressType"] == "FQDN":
            return []
        return [
            cause
            for index, endpoint in enumerate(obj.get("endpoints") or ())
            for number, address in enumerate(endpoint["addresses"])
            for cause in network_rules.endpoint_address(address, f"endpoints[{index}].addresses[{number}]")
        ]
