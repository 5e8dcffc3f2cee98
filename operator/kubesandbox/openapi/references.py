"""What fields mean that are objects of their own: the official client's models keep no words for those.

From the Kubernetes API reference; of the kinds that people look up first.
"""

from __future__ import annotations

_CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_META, _STATES = f"{_CONVENTIONS}#metadata", f"{_CONVENTIONS}#spec-and-status"
_METADATA = f"Standard object's metadata. More info: {_META}"
_READ_ONLY = f"Populated by the system. Read-only. More info: {_STATES}"
_POD_SPEC = f"Specification of the desired behavior of the pod. More info: {_STATES}"

#: A quantity is explained at length, and by no package that may be installed.
QUANTITY = (
    "Quantity is a fixed-point representation of a number. It provides convenient marshaling/unmarshaling in "
    "JSON and YAML, in addition to String() and AsInt64() accessors.\n\n"
    "The serialization format is:\n\n"
    "``` <quantity>        ::= <signedNumber><suffix>\n\n"
    '\t(Note that <suffix> may be empty, from the "" case in <decimalSI>.)\n\n'
    "<digit>           ::= 0 | 1 | ... | 9 <digits>          ::= <digit> | <digit><digits> <number>          "
    '::= <digits> | <digits>.<digits> | <digits>. | .<digits> <sign>            ::= "+" | "-" <signedNumber>'
    "    ::= <number> | <sign><number> <suffix>          ::= <binarySI> | <decimalExponent> | <decimalSI> "
    "<binarySI>        ::= Ki | Mi | Gi | Ti | Pi | Ei\n\n"
    "\t(International System of units; See: http://physics.nist.gov/cuu/Units/binary.html)\n\n"
    '<decimalSI>       ::= m | "" | k | M | G | T | P | E\n\n'
    "\t(Note that 1024 = 1Ki but 1000 = 1k; I didn't choose the capitalization.)\n\n"
    '<decimalExponent> ::= "e" <signedNumber> | "E" <signedNumber> ```\n\n'
    "No matter which of the three exponent forms is used, no quantity may represent a number greater than "
    "2^63-1 in magnitude, nor may it have more than 3 decimal places. Numbers larger or more precise will be "
    "capped or rounded up. (E.g.: 0.1m will rounded up to 1m.) This may be extended in the future if we "
    "require larger or smaller quantities.\n\n"
    "When a Quantity is parsed from a string, it will remember the type of suffix it had, and will use the "
    "same type again when it is serialized.\n\n"
    'Before serializing, Quantity will be put in "canonical form". This means that Exponent/suffix will be '
    "adjusted up or down (with a corresponding increase or decrease in Mantissa) such that:\n\n"
    "- No precision is lost - No fractional digits will be emitted - The exponent (or suffix) is as large as "
    "possible.\n\n"
    "The sign will be omitted unless the number is negative.\n\n"
    "Examples:\n\n"
    '- 1.5 will be serialized as "1500m" - 1.5Gi will be serialized as "1536Mi"\n\n'
    "Note that the quantity will NEVER be internally represented by a floating point number. That is the whole"
    " point of this exercise.\n\n"
    "Non-canonical values will still parse as long as they are well formed, but will be re-emitted in their "
    "canonical form. (So always use canonical form, or don't diff.)\n\n"
    "This format is intended to make it difficult to use these numbers without writing some sort of special "
    "handling code in the hopes that that will cause implementors to also use a fixed point implementation."
)

_FIELDS: dict[str, dict[str, str]] = {
    "apps.v1.Deployment": {
        "spec": "Specification of the desired behavior of the Deployment.",
        "status": "Most recently observed status of the Deployment.",
    },
    "apps.v1.DeploymentSpec": {
        "selector": "Label selector for pods. Existing ReplicaSets whose pods are selected by this will be the ones "
        "affected by this deployment. It must match the pod template's labels.",
        "strategy": "The deployment strategy to use to replace existing pods with new ones.",
        "template": "Template describes the pods that will be created. The only allowed template.spec.restartPolicy "
        'value is "Always".',
    },
    "apps.v1.DeploymentStrategy": {
        "rollingUpdate": "Rolling update config params. Present only if DeploymentStrategyType = RollingUpdate.",
    },
    "apps.v1.ReplicaSet": {
        "spec": "Spec defines the specification of the desired behavior of the ReplicaSet. "
        f"More info: {_STATES}",
    },
    "autoscaling.v2.HorizontalPodAutoscaler": {
        "metadata": f"metadata is the standard object metadata. More info: {_META}",
        "spec": f"spec is the specification for the behaviour of the autoscaler. More info: {_STATES}.",
        "status": "status is the current information about the autoscaler.",
    },
    "batch.v1.Job": {
        "spec": f"Specification of the desired behavior of a job. More info: {_STATES}",
        "status": f"Current status of a job. More info: {_STATES}",
    },
    "coordination.v1.Lease": {
        "metadata": f"More info: {_META}",
        "spec": f"spec contains the specification of the Lease. More info: {_STATES}",
    },
    "core.v1.Event": {
        "eventTime": "Time when this Event was first observed.",
        "firstTimestamp": "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)",
        "involvedObject": "The object that this event is about.",
        "lastTimestamp": "The time at which the most recent occurrence of this event was recorded.",
        "related": "Optional secondary object for more complex actions.",
        "series": "Data about the Event series this event represents or nil if it's a singleton Event.",
        "source": "The component reporting this event. Should be a short machine understandable string.",
    },
    "core.v1.Namespace": {
        "spec": f"Spec defines the behavior of the Namespace. More info: {_STATES}",
        "status": f"Status describes the current status of a Namespace. More info: {_STATES}",
    },
    "core.v1.Node": {
        "spec": f"Spec defines the behavior of a node. {_STATES}",
        "status": f"Most recently observed status of the node. {_READ_ONLY}",
    },
    "core.v1.Pod": {
        "spec": _POD_SPEC,
        "status": f"Most recently observed status of the pod. This data may not be up to date. {_READ_ONLY}",
    },
    "core.v1.PodTemplateSpec": {"spec": _POD_SPEC},
    "core.v1.Service": {
        "spec": f"Spec defines the behavior of a service. {_STATES}",
        "status": f"Most recently observed status of the service. {_READ_ONLY}",
    },
    "networking.v1.Ingress": {
        "spec": f"spec is the desired state of the Ingress. More info: {_STATES}",
        "status": f"status is the current state of the Ingress. More info: {_STATES}",
    },
    "networking.v1.NetworkPolicy": {
        "spec": "spec represents the specification of the desired behavior for this NetworkPolicy.",
    },
    "policy.v1.PodDisruptionBudget": {
        "spec": "Specification of the desired behavior of the PodDisruptionBudget.",
        "status": "Most recently observed status of the PodDisruptionBudget.",
    },
    **{f"rbac.v1.{kind}": {"metadata": "Standard object's metadata."}
       for kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")},
}  # fmt: skip


def of(struct: str) -> dict[str, str]:
    """Descriptions of a struct's fields that are objects: of `io.k8s.api.apps.v1.Deployment`, `spec` and so on."""
    return {"metadata": _METADATA, **_FIELDS.get(struct.removeprefix("io.k8s.api."), {})}
