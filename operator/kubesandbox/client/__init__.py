"""A small asynchronous client of any Kubernetes API: what the controllers and the node talk through."""

from kubesandbox.client.cache import Cache, Change
from kubesandbox.client.config import Config, ConfigError
from kubesandbox.client.events import Recorder
from kubesandbox.client.http import ApiError, Client
from kubesandbox.client.resources import Key, Object, Resource, key_of, namespace_of, owner_of

__all__ = [
    "ApiError",
    "Cache",
    "Change",
    "Client",
    "Config",
    "ConfigError",
    "Key",
    "Object",
    "Recorder",
    "Resource",
    "key_of",
    "namespace_of",
    "owner_of",
]
