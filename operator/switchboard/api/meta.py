"""What every kind shares: the group, labels and annotations, conditions, and the base of the models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "switchboard.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "switchboard"

FINALIZER = f"{GROUP}/release"
FIELD_MANAGER = "switchboard-operator"

LABEL_AGENT = f"{GROUP}/agent"
LABEL_REVISION = f"{GROUP}/revision"
LABEL_CONNECTOR = f"{GROUP}/connector"
LABEL_PROVIDER = f"{GROUP}/provider"
LABEL_CONVERSATION = f"{GROUP}/conversation"
LABEL_USE = f"{GROUP}/use"
"""A Secret that a resource refers to must carry this label with the value "true"."""
ANNOTATION_TEST = f"{GROUP}/test"
"""Any new value on a connector asks for a check at once; the answer is `status.lastTest`."""
ANNOTATION_AWAITED = f"{GROUP}/awaited"
"""On an Agent's Service while nothing is live yet: the revision that it leads to is the one that is waited for."""
ANNOTATION_CHECKSUM = f"{GROUP}/checksum"
"""On a pod template: what the pods read at their start. A new value rolls them."""

E164 = r"^\+[1-9][0-9]{1,14}$"
DNS1123_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS1123_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

PhoneNumber = Annotated[
    str,
    Field(
        pattern=E164,
        max_length=16,
        description="A phone number in E.164: a plus sign, the country code and the number, digits only.",
    ),
]
ObjectName = Annotated[str, Field(pattern=DNS1123_SUBDOMAIN, min_length=1, max_length=253)]
SecretKey = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
_ORIGIN = r"https?://(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?\.?)(:[1-9][0-9]{0,4})?"
"""Nothing that two libraries could take for two hosts: no user, no backslash; other alphabets as `xn--…`."""
HttpUrl = Annotated[str, Field(pattern=rf"^{_ORIGIN}(/[^\s#]*)?$", max_length=2048)]
BaseUrl = Annotated[str, Field(pattern=rf"^{_ORIGIN}(/[0-9A-Za-z_~-][0-9A-Za-z._~-]*)*/?$", max_length=1024)]
"""An address that paths are added to: it leads to Twilio's requests, to routes and signatures alike."""
Channel = Literal["SMS", "WhatsApp"]


class Model(BaseModel):
    """Base of all that stands in a manifest: camelCase outside, snake_case inside.

    Unknown fields are ignored here: the API server has pruned or refused them, and an older process must be able to
    read what a newer one wrote.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", use_attribute_docstrings=True, frozen=True
    )

    def manifest(self) -> dict[str, object]:
        """The JSON form with camelCase names, without what is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class SecretReference(Model):
    """A Secret of the same namespace. It must carry the label `switchboard.dev/use: "true"`."""

    name: ObjectName
    """Name of the Secret."""


class SecretKeyReference(SecretReference):
    """One key of a Secret of the same namespace."""

    key: SecretKey
    """Key within the Secret's data."""


class SecretValue(Model):
    """A value that is read from a Secret."""

    secret_ref: SecretKeyReference
    """The Secret and its key."""


class Condition(Model):
    """A metav1.Condition (https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#Condition)."""

    type: str = Field(pattern=r"^[A-Za-z]([A-Za-z0-9]*)$", max_length=316)
    """What the condition is about, in CamelCase."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    observed_generation: int | None = Field(default=None, ge=0)
    """The `metadata.generation` that was looked at."""
    last_transition_time: datetime
    """When `status` last changed."""
    reason: str = Field(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", min_length=1, max_length=1024)
    """The cause in one CamelCase word."""
    message: str = Field(default="", max_length=32768)
    """What a person should know and do."""


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=20,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


@dataclass(frozen=True)
class Column:
    """A printer column: what `kubectl get` shows; priority 1 only with `-o wide`."""

    name: str
    path: str
    type: Literal["string", "integer", "date", "boolean"] = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True)
class Names:
    """How a kind is called in the API and by `kubectl`."""

    kind: str
    plural: str
    short: tuple[str, ...]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()
    """JSON paths that field selectors may use (`selectableFields`)."""
    rules: tuple[Mapping[str, str], ...] = ()
    """CEL rules on the whole object."""

    @property
    def singular(self) -> str:
        """The lowercase kind."""
        return self.kind.lower()


AGE = Column("Age", ".metadata.creationTimestamp", "date")


def condition_path(kind: str, field: str) -> str:
    """The JSON path of one field of the condition `kind`, for a printer column."""
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


class OwnerReference(Model):
    """A metav1.OwnerReference."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class ObjectMeta(Model):
    """The part of metav1.ObjectMeta that is read here."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    # pydantic makes a deep copy of a default that can change, by hand: a factory takes a tenth of that.
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)
    owner_references: list[OwnerReference] = Field(default_factory=list)


class Resource(Model):
    """Base of the kinds. A subclass names itself in `names` and adds `spec` and `status`."""

    names: ClassVar[Names]

    metadata: ObjectMeta = ObjectMeta()
