"""Which EndpointSlices and Endpoints a Service is to have. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from kubesandbox.client import Object
from kubesandbox.client.resources import SERVICES, controller_reference
from kubesandbox.client.selectors import matches
from kubesandbox.controllers import pods as about

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
PER_SLICE = 100


@dataclass(frozen=True, slots=True)
class Port:
    name: str
    protocol: str
    number: int
    app_protocol: str | None

    def as_object(self) -> Object:
        port: Object = {"name": self.name, "protocol": self.protocol, "port": self.number}
        return {**port, "appProtocol": self.app_protocol} if self.app_protocol else port


@dataclass(frozen=True, slots=True)
class Changes:
    create: list[Object]
    update: list[tuple[Object, Object]]  # (held, merge patch)
    delete: list[Object]


def has_endpoints(service: Object) -> bool:
    spec = service["spec"]
    return bool(spec.get("selector")) and spec.get("type") != "ExternalName" and not about.is_deleted(service)


def groups(service: Object, pods: Iterable[Object]) -> dict[tuple[Port, ...], list[Object]]:
    """Endpoints by the port numbers they have: a named targetPort may differ from pod to pod."""
    result: dict[tuple[Port, ...], list[Object]] = {}
    selector = {"matchLabels": service["spec"]["selector"]}
    for pod in sorted(pods, key=lambda pod: pod["metadata"]["name"]):
        address = (pod.get("status") or {}).get("podIP")
        if (
            address
            and about.phase(pod) not in {"Succeeded", "Failed"}
            and matches(selector, pod["metadata"].get("labels"))
        ):
            result.setdefault(_ports(service, pod), []).append(_endpoint(service, pod, address))
    return result


def changes(service: Object, pods: Iterable[Object], held: Iterable[Object]) -> Changes:
    """What makes the held slices show the pods. Slices are kept as long as their ports stay."""
    wanted: list[tuple[list[Object], list[Object]]] = []
    for ports, endpoints in groups(service, pods).items():
        listed = [port.as_object() for port in ports]
        wanted += [(listed, endpoints[i : i + PER_SLICE]) for i in range(0, len(endpoints), PER_SLICE)]
    if not wanted:
        wanted = [([], [])]
    result = Changes([], [], [])
    free = sorted(held, key=lambda obj: obj["metadata"]["name"])
    for ports_wanted, endpoints in wanted:
        match = next((obj for obj in free if (obj.get("ports") or []) == ports_wanted), free[0] if free else None)
        body: Object = {"ports": ports_wanted, "endpoints": endpoints}
        if match is None:
            result.create.append({**_new_slice(service), **body})
            continue
        free.remove(match)
        labels = _labels(service)
        same = (match.get("ports") or []) == ports_wanted and (match.get("endpoints") or []) == endpoints
        if not same or match["metadata"].get("labels") != labels:
            stale = {name: None for name in match["metadata"].get("labels") or {} if name not in labels}
            result.update.append((match, {**body, "metadata": {"labels": {**stale, **labels}}}))
    result.delete.extend(free)
    return result


def endpoints_subsets(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The same as the older Endpoints kind has it; pods that are being deleted are not in it."""
    subsets = []
    for ports, endpoints in groups(service, pods).items():
        subset: Object = {}
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            listed = [
                {"ip": e["addresses"][0], "nodeName": e["nodeName"], "targetRef": e["targetRef"]}
                for e in sorted(endpoints, key=lambda e: tuple(map(int, e["addresses"][0].split("."))))
                if e["conditions"]["ready"] is ready and not e["conditions"]["terminating"]
            ]
            if listed:
                subset[field] = listed
        if subset:
            subsets.append({**subset, "ports": [port.as_object() for port in ports]})
    return subsets


def _endpoint(service: Object, pod: Object, address: str) -> Object:
    metadata = pod["metadata"]
    serving, terminating = about.is_ready(pod), about.is_deleted(pod)
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    endpoint: Object = {
        "addresses": [address],
        "conditions": {
            "ready": published or (serving and not terminating),
            "serving": published or serving,
            "terminating": terminating,
        },
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": {
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        },
    }
    return endpoint


def _ports(service: Object, pod: Object) -> tuple[Port, ...]:
    result = []
    for port in service["spec"].get("ports") or ():
        number = _number(port.get("targetPort") or port["port"], port.get("protocol", "TCP"), pod)
        if number is not None:
            result.append(Port(port.get("name", ""), port.get("protocol", "TCP"), number, port.get("appProtocol")))
    return tuple(result)


def _number(target: int | str, protocol: str, pod: Object) -> int | None:
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def _labels(service: Object) -> dict[str, str]:
    own = {SERVICE_NAME: service["metadata"]["name"], MANAGED_BY: CONTROLLER}
    headless = {"service.kubernetes.io/headless": ""} if service["spec"].get("clusterIP") == "None" else {}
    return {**(service["metadata"].get("labels") or {}), **headless, **own}


def _new_slice(service: Object) -> Object:
    metadata = service["metadata"]
    return {
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": _labels(service),
            "ownerReferences": [controller_reference(service, SERVICES)],
        },
        "addressType": "IPv4",
    }
