"""How built-in kinds are merged: which of their lists have keys, which of their objects are owned as a whole.

From the markers of the Kubernetes API reference, v1.36: listType, listMapKey, mapType, patchMergeKey, patchStrategy.
What is not named here is an ordinary field; a list is then replaced, and owned, as a whole.
"""

from __future__ import annotations

from functools import cache

from kubesandbox.patch.types import METADATA, PLAIN, KindSchema, Strategy, Type
from kubesandbox.schema.causes import JSON

#: A map: its keys are no fields. And one that has one owner.
_MAP = Type(element=PLAIN)
_ATOMIC_MAP = Type(element=PLAIN, atomic=True)
#: An object that has one owner: references, selectors, one-ofs.
_WHOLE = Type(open=True, atomic=True)
_SET = Type(element=PLAIN, list_kind="set")


def _struct(**fields: Type) -> Type:
    return Type(open=True, fields=fields)


def _by(*keys: str, of: Type = PLAIN, merge_key: str = "", strategy: Strategy = "merge", **defaults: JSON) -> Type:
    """A list merged by key, in both kinds of patch; strategic merge takes the first of several keys.

    A key that a field of Go's always has stands for its zero value where it is absent.
    """
    absent: dict[str, JSON] = {key: 0 if key.lower().endswith("port") else "" for key in keys}
    return Type(
        element=of,
        list_kind="map",
        keys=keys,
        key_defaults=absent | defaults,
        merge_key=merge_key or keys[0],
        strategy=strategy,
    )


def _server_side_by(*keys: str, of: Type = PLAIN) -> Type:
    """A list merged by key in server-side apply only."""
    return Type(element=of, list_kind="map", keys=keys)


def _strategic_by(key: str, of: Type = PLAIN) -> Type:
    """A list merged by key in strategic merge patches only."""
    return Type(element=of, merge_key=key, strategy="merge")


_CONDITIONS = _by("type")
_RESOURCES = _struct(limits=_MAP, requests=_MAP, claims=_server_side_by("name"))

_ENV = _struct(
    valueFrom=_struct(
        **dict.fromkeys(("configMapKeyRef", "secretKeyRef", "fieldRef", "resourceFieldRef", "fileKeyRef"), _WHOLE)
    )
)

_CONTAINER = _struct(
    env=_by("name", of=_ENV),
    ports=_by("containerPort", "protocol", protocol="TCP"),
    resources=_RESOURCES,
    restartPolicyRules=Type(element=_struct(exitCodes=_struct(values=_SET))),
    volumeDevices=_by("devicePath"),
    volumeMounts=_by("mountPath"),
)

_CLAIM_SPEC = _struct(dataSource=_WHOLE, selector=_WHOLE, resources=_struct(limits=_MAP, requests=_MAP))

_VOLUME = _struct(
    csi=_struct(nodePublishSecretRef=_WHOLE, volumeAttributes=_MAP),
    ephemeral=_struct(volumeClaimTemplate=_struct(metadata=METADATA, spec=_CLAIM_SPEC)),
    flexVolume=_struct(options=_MAP, secretRef=_WHOLE),
    **{name: _struct(secretRef=_WHOLE) for name in ("cephfs", "cinder", "iscsi", "rbd", "scaleIO", "storageos")},
)

_AFFINITY = _struct(nodeAffinity=_struct(requiredDuringSchedulingIgnoredDuringExecution=_WHOLE))

_POD_SPEC = _struct(
    affinity=_AFFINITY,
    containers=_by("name", of=_CONTAINER),
    ephemeralContainers=_by("name", of=_CONTAINER),
    hostAliases=_by("ip"),
    imagePullSecrets=_by("name", of=_WHOLE),
    initContainers=_by("name", of=_CONTAINER),
    nodeSelector=_ATOMIC_MAP,
    overhead=_MAP,
    resourceClaims=_by("name", strategy="merge,retainKeys"),
    resources=_RESOURCES,
    schedulingGates=_by("name"),
    topologySpreadConstraints=_by("topologyKey", "whenUnsatisfiable", of=_struct(labelSelector=_WHOLE)),
    volumes=_by("name", of=_VOLUME, strategy="merge,retainKeys"),
)

_TEMPLATE = _struct(metadata=METADATA, spec=_POD_SPEC)

_POD_STATUS = _struct(
    allocatedResources=_MAP,
    conditions=_CONDITIONS,
    hostIPs=_strategic_by("ip"),
    podIPs=_by("ip"),
    resourceClaimStatuses=_by("name", strategy="merge,retainKeys"),
    resources=_RESOURCES,
)

_JOB_SPEC = _struct(selector=_WHOLE, template=_TEMPLATE)
_WEBHOOK = _struct(matchConditions=_by("name"), namespaceSelector=_WHOLE, objectSelector=_WHOLE)
_CLAIM = _struct(
    metadata=METADATA,
    spec=_CLAIM_SPEC,
    status=_struct(allocatedResourceStatuses=_MAP, allocatedResources=_MAP, capacity=_MAP, conditions=_CONDITIONS),
)


def _workload(**spec: Type) -> Type:
    return _struct(spec=_struct(selector=_WHOLE, template=_TEMPLATE, **spec), status=_struct(conditions=_CONDITIONS))


_KINDS: dict[tuple[str, str], Type] = {
    ("", "ConfigMap"): _struct(data=_MAP, binaryData=_MAP),
    ("", "Endpoints"): _struct(),
    ("", "Event"): _struct(involvedObject=_WHOLE, related=_WHOLE),
    ("", "Namespace"): _struct(status=_struct(conditions=_CONDITIONS)),
    ("", "Node"): _struct(
        spec=_struct(podCIDRs=Type(element=PLAIN, list_kind="set", strategy="merge")),
        status=_struct(addresses=_by("type"), allocatable=_MAP, capacity=_MAP, conditions=_CONDITIONS),
    ),
    ("", "PersistentVolume"): _struct(spec=_struct(capacity=_MAP)),
    ("", "PersistentVolumeClaim"): _CLAIM,
    ("", "Pod"): _struct(spec=_POD_SPEC, status=_POD_STATUS),
    ("", "ReplicationController"): _struct(
        spec=_struct(selector=_ATOMIC_MAP, template=_TEMPLATE), status=_struct(conditions=_CONDITIONS)
    ),
    ("", "ResourceQuota"): _struct(spec=_struct(hard=_MAP, scopeSelector=_WHOLE), status=_struct(hard=_MAP, used=_MAP)),
    ("", "Secret"): _struct(data=_MAP, stringData=_MAP),
    ("", "Service"): _struct(
        spec=_struct(ports=_by("port", "protocol", protocol="TCP"), selector=_ATOMIC_MAP),
        status=_struct(conditions=_CONDITIONS),
    ),
    ("", "ServiceAccount"): _struct(secrets=_by("name", of=_WHOLE), imagePullSecrets=Type(element=_WHOLE)),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _struct(webhooks=_by("name", of=_WEBHOOK)),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _struct(webhooks=_by("name", of=_WEBHOOK)),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): _struct(
        spec=_struct(
            matchConditions=_by("name"), matchConstraints=_WHOLE, paramKind=_WHOLE, variables=_by("name", of=_WHOLE)
        ),
        status=_struct(conditions=_server_side_by("type")),
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): _struct(
        spec=_struct(matchResources=_WHOLE, paramRef=_WHOLE, validationActions=_SET)
    ),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _struct(status=_struct(conditions=_server_side_by("type"))),
    ("apiregistration.k8s.io", "APIService"): _struct(status=_struct(conditions=_CONDITIONS)),
    ("apps", "DaemonSet"): _workload(),
    ("apps", "Deployment"): _workload(strategy=Type(open=True, strategy="retainKeys")),
    ("apps", "ReplicaSet"): _workload(),
    ("apps", "StatefulSet"): _workload(volumeClaimTemplates=Type(element=_CLAIM)),
    ("autoscaling", "HorizontalPodAutoscaler"): _struct(status=_struct(conditions=_CONDITIONS)),
    ("batch", "CronJob"): _struct(spec=_struct(jobTemplate=_struct(metadata=METADATA, spec=_JOB_SPEC))),
    ("batch", "Job"): _struct(spec=_JOB_SPEC, status=_struct(conditions=_strategic_by("type"))),
    ("discovery.k8s.io", "EndpointSlice"): _struct(),
    ("events.k8s.io", "Event"): _struct(regarding=_WHOLE, related=_WHOLE),
    ("networking.k8s.io", "Ingress"): _struct(
        spec=_struct(defaultBackend=_struct(resource=_WHOLE, service=_struct(port=_WHOLE)))
    ),
    ("networking.k8s.io", "NetworkPolicy"): _struct(spec=_struct(podSelector=_WHOLE)),
    ("policy", "PodDisruptionBudget"): _struct(
        spec=_struct(selector=Type(open=True, atomic=True, strategy="replace")),
        status=_struct(conditions=_CONDITIONS, disruptedPods=_MAP),
    ),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _struct(roleRef=_WHOLE),
    ("rbac.authorization.k8s.io", "RoleBinding"): _struct(roleRef=_WHOLE),
    ("storage.k8s.io", "StorageClass"): _struct(parameters=_MAP),
}

_STATUS, _SPEC = ("f:status",), ("f:spec",)

#: What a request through the resource itself, and one through its status, cannot change (GetResetFields).
_RESETS: dict[tuple[str, str], dict[str, tuple[tuple[str, ...], ...]]] = {
    ("", "Event"): {},
    ("", "Secret"): {},
    ("", "ConfigMap"): {},
    ("", "Pod"): {
        "": (_STATUS,),
        "status": (_SPEC, ("f:metadata", "f:deletionTimestamp"), ("f:metadata", "f:ownerReferences")),
    },
    ("apps", "Deployment"): {"": (_STATUS,), "status": (_SPEC, ("f:metadata", "f:labels"))},
    ("apiextensions.k8s.io", "CustomResourceDefinition"): {"": (_STATUS,), "status": (("f:metadata",), _SPEC)},
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): {"": (_STATUS,), "status": (("f:metadata",), _SPEC)},
}
_RESET = {"": (_STATUS,), "status": (_SPEC,)}


_ZERO_TEMPLATE: JSON = {"metadata": {}, "spec": {"containers": None}}
_ZERO_JOB: JSON = {"template": _ZERO_TEMPLATE}

#: Structs that Go writes even if they are empty. Nobody owns one as such just because an object was created.
_ZERO: dict[tuple[str, str], JSON] = {
    ("", "Event"): {"involvedObject": {}, "source": {}, "firstTimestamp": None, "lastTimestamp": None},
    ("", "PersistentVolumeClaim"): {"spec": {"resources": {}}, "status": {}},
    ("", "Pod"): {"spec": {"containers": None}, "status": {}},
    ("", "Service"): {"spec": {}, "status": {"loadBalancer": {}}},
    ("apps", "DaemonSet"): {
        "spec": {"selector": None, "template": _ZERO_TEMPLATE, "updateStrategy": {}},
        "status": {},
    },
    ("apps", "Deployment"): {"spec": {"selector": None, "template": _ZERO_TEMPLATE, "strategy": {}}, "status": {}},
    ("apps", "ReplicaSet"): {"spec": {"selector": None, "template": _ZERO_TEMPLATE}, "status": {}},
    ("apps", "StatefulSet"): {
        "spec": {"selector": None, "template": _ZERO_TEMPLATE, "updateStrategy": {}},
        "status": {},
    },
    ("autoscaling", "HorizontalPodAutoscaler"): {"spec": {"scaleTargetRef": {}}, "status": {}},
    ("batch", "CronJob"): {"spec": {"jobTemplate": {"metadata": {}, "spec": _ZERO_JOB}}, "status": {}},
    ("batch", "Job"): {"spec": _ZERO_JOB, "status": {}},
    ("networking.k8s.io", "Ingress"): {"spec": {}, "status": {"loadBalancer": {}}},
    ("networking.k8s.io", "NetworkPolicy"): {"spec": {}},
    **{
        kind: {"spec": {}, "status": {}}
        for kind in (
            ("", "Namespace"),
            ("", "Node"),
            ("", "PersistentVolume"),
            ("", "ReplicationController"),
            ("", "ResourceQuota"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
            ("policy", "PodDisruptionBudget"),
        )
    },
    ("coordination.k8s.io", "Lease"): {"spec": {}},
}


@cache
def of(group: str, kind: str) -> KindSchema:
    """How a built-in kind is patched. A kind that the table does not name has no list with keys in it."""
    own = _KINDS.get((group, kind), PLAIN)
    root = Type(open=True, fields={**own.fields, "metadata": METADATA})
    zero = _ZERO.get((group, kind), {})
    return KindSchema(root, _RESETS.get((group, kind), _RESET), strategic=True, zero=zero)
