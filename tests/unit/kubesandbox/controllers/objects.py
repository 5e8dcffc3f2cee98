"""Small objects for the controllers' decisions."""

from __future__ import annotations

import datetime as dt
import itertools

from kubesandbox.client import Object

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
_serial = itertools.count()


def ago(seconds: float) -> str:
    return (NOW - dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def deployment(replicas: int = 2, image: str = "v1", **spec: object) -> Object:
    return {
        "metadata": {"name": "web", "namespace": "ns", "uid": "d", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            **spec,
        },
    }


def template(image: str) -> Object:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def replica_set(
    image: str, replicas: int, available: int, *, revision: int = 1, desired: int = 2, age: float = 0
) -> Object:
    body = template(image)
    body["metadata"]["labels"]["pod-template-hash"] = f"h{image}"
    return {
        "metadata": {
            "name": f"web-{image}",
            "namespace": "ns",
            "uid": f"rs-{image}",
            "generation": 1,
            "creationTimestamp": ago(age),
            "annotations": {
                "deployment.kubernetes.io/revision": str(revision),
                "deployment.kubernetes.io/desired-replicas": str(desired),
                "deployment.kubernetes.io/max-replicas": str(desired + 1),
            },
        },
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": body},
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "readyReplicas": available,
            "availableReplicas": available,
        },
    }


def pod(
    name: str = "",
    *,
    phase: str = "Running",
    ready: bool = True,
    since: float = 100,
    owner: str | None = "rs-v1",
    node: str = "n",
    deleted: bool = False,
    restarts: int = 0,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    ip: str = "10.244.0.1",
) -> Object:
    name = name or f"pod-{next(_serial)}"
    metadata: Object = {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-{name}",
        "creationTimestamp": ago(since),
        "labels": {"app": "web"} if labels is None else labels,
        "annotations": annotations or {},
    }
    if owner:
        metadata["ownerReferences"] = [{"kind": "ReplicaSet", "name": "web-v1", "uid": owner, "controller": True}]
    if deleted:
        metadata["deletionTimestamp"] = ago(0)
    condition = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": ago(since)}
    return {
        "metadata": metadata,
        "spec": {
            "nodeName": node,
            "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}],
        },
        "status": {
            "phase": phase,
            "podIP": ip,
            "conditions": [condition],
            "containerStatuses": [{"name": "c", "restartCount": restarts}],
        },
    }
