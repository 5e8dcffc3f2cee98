"""The Kubernetes API: the only room that talks to it. Objects are plain dictionaries, as they stand in JSON."""

from switchboard.kube.client import Changed, KubeApi, Listing, Synced, connect
from switchboard.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from switchboard.kube.resources import Object, ResourceType

__all__ = [
    "AlreadyExists",
    "Changed",
    "Conflict",
    "Forbidden",
    "Gone",
    "Invalid",
    "KubeApi",
    "KubeError",
    "Listing",
    "NotFound",
    "Object",
    "ResourceType",
    "Synced",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "connect",
]
