"""Node ports: which are asked for, and which are handed out (kubernetes pkg/registry/core/service)."""

from __future__ import annotations

from kubesandbox import errors
from kubesandbox.objects import Object
from kubesandbox.schema import causes
from kubesandbox.strategy import Request

RANGE = range(30000, 32768)


def checks_health(spec: Object) -> bool:
    """Whether a load balancer is to ask nodes if they have an endpoint."""
    return bool(spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local")


def keep(spec: Object, before: Object) -> None:
    """Leave a changed Service its node ports, by its ports' names, where it names no others (patchAllocatedValues)."""
    if {spec["type"], before["type"]} <= {"NodePort", "LoadBalancer"}:
        had = {port.get("name", ""): port.get("nodePort") for port in before.get("ports") or ()}
        taken = {port.get("nodePort") for port in spec.get("ports") or ()} & {*had.values()}
        for port in spec.get("ports") or ():
            number = had.get(port.get("name", ""))
            if not port.get("nodePort") and number and number not in taken:
                port["nodePort"] = number
                taken.add(number)
    if checks_health(spec) and checks_health(before) and before.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = spec.get("healthCheckNodePort") or before["healthCheckNodePort"]


def allocate(service: Object, old: Object | None, request: Request) -> None:
    """Check the node ports that were asked for and hand out the others, in place; `old` is who had some before."""
    spec, before = service["spec"], (old or {}).get("spec") or {}
    operation = _Operation(service, request)
    wanted = spec["type"] != "LoadBalancer" or spec.get("allocateLoadBalancerNodePorts") is not False
    had = {port.get("nodePort") for port in before.get("ports") or ()}
    ports, shared = spec.get("ports") or [], dict[int, int]()
    for index, port in enumerate(ports):
        asked = port.get("nodePort") or (0 if old else _asked_for(port["port"], ports))
        if not asked and not wanted:
            continue
        number = shared.get(port["port"], 0)
        if asked and asked not in had and asked != number:
            operation.reserve(asked, f"spec.ports[{index}].nodePort")
        port["nodePort"] = port.get("nodePort") or number or asked or operation.any()
        if old is None:  # one port in several protocols is one port of the node
            shared.setdefault(port["port"], port["nodePort"])
    if checks_health(spec) and not (before and checks_health(before)):
        if spec.get("healthCheckNodePort"):
            operation.taken.append(spec["healthCheckNodePort"])
        else:
            spec["healthCheckNodePort"] = operation.any()


def _asked_for(number: int, ports: list[Object]) -> int:
    """The node port that any of the ports with a number asks for."""
    return next((port["nodePort"] for port in ports if port["port"] == number and port.get("nodePort")), 0)


class _Operation:
    """What one request takes of the range."""

    def __init__(self, service: Object, request: Request) -> None:
        meta = service["metadata"]
        self._name, self._dry_run = meta["name"], request.dry_run
        self._used = {
            number
            for version in request.cluster.store.table("", "services").scan()
            if (version.object["metadata"]["namespace"], version.object["metadata"]["name"])
            != (meta["namespace"], meta["name"])
            for number in _numbers(version.object["spec"])
        }
        self.taken: list[int] = []

    def reserve(self, number: int, path: str) -> None:
        """Take a port that was asked for, unless it is out of the range or somebody's; StatusError 422."""
        why = ""
        if number in self._used:
            why = "provided port is already allocated"
        elif number not in RANGE and not self._dry_run:
            why = "provided port is not in the valid range. The range of valid ports is 30000-32767"
        if why:
            raise errors.invalid("", "Service", self._name, [causes.invalid(path, number, why)])
        self.taken.append(number)

    def any(self) -> int:
        """Take a port that is free. A dry run takes none and says one that is none (PortAllocationOperation)."""
        if self._dry_run:
            number = max(self.taken, default=RANGE.stop) + 1
        else:
            number = next(it for it in RANGE if it not in self._used and it not in self.taken)
        self.taken.append(number)
        return number


def _numbers(spec: Object) -> list[int]:
    found = [port.get("nodePort") or 0 for port in spec.get("ports") or ()]
    return [number for number in (*found, spec.get("healthCheckNodePort") or 0) if number]
