"""What pods refer to: ConfigMaps and Secrets as they are now, and as they change; ServiceAccount tokens."""

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kubesandbox.client import ApiError, Cache, Client, Object, Resource
from kubesandbox.client.resources import CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS
from kubesandbox.node.environment import References


class Sources:
    """Reads references fresh when a container starts, and tells of their changes while it runs."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._caches = {resource: Cache(client, resource) for resource in (CONFIG_MAPS, SECRETS)}

    async def run(self) -> None:
        await asyncio.gather(*(cache.run() for cache in self._caches.values()))

    def listen(self, listener: Callable[[Resource, str, str], None]) -> None:
        """Call `listener(resource, namespace, name)` whenever a ConfigMap or Secret changes."""
        for resource, cache in self._caches.items():
            cache.listen(
                lambda change, resource=resource: listener(  # type: ignore[misc]
                    resource, change.current["metadata"]["namespace"], change.current["metadata"]["name"]
                )
            )

    async def read(self, namespace: str, config_maps: Iterable[str], secrets: Iterable[str]) -> References:
        """The named objects, asked of the server: what a pod was made after must be seen by it."""
        return References(
            {name: await self._get(CONFIG_MAPS, namespace, name) for name in config_maps},
            {name: await self._get(SECRETS, namespace, name) for name in secrets},
        )

    async def _get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        try:
            obj = await self._client.get(resource, namespace, name)
        except ApiError as error:
            if error.not_found:
                return None
            raise
        obj.setdefault("kind", resource.kind)
        self._caches[resource].remember(obj)
        return obj


@dataclass(frozen=True, slots=True)
class Token:
    value: str
    expires: dt.datetime
    issued: dt.datetime

    def renew_at(self) -> dt.datetime:
        """When four fifths of its life have passed, as the kubelet renews."""
        return self.issued + (self.expires - self.issued) * 0.8


async def request_token(client: Client, pod: Object, *, audience: str, seconds: int) -> Token:
    """A token of the pod's ServiceAccount, bound to the pod, from the TokenRequest API."""
    metadata = pod["metadata"]
    account = pod["spec"].get("serviceAccountName") or "default"
    bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    body: Object = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [audience] if audience else None,
            "expirationSeconds": seconds,
            "boundObjectRef": bound,
        },
    }
    if not audience:
        del body["spec"]["audiences"]
    issued = dt.datetime.now(dt.UTC)
    path = SERVICE_ACCOUNTS.path(metadata["namespace"], account, "token")
    status = (await client.request("POST", path, body=body))["status"]
    return Token(status["token"], dt.datetime.fromisoformat(status["expirationTimestamp"]), issued)


async def automounts(client: Client, pod: Object) -> bool:
    """Whether the pod gets credentials: its own word, else its ServiceAccount's, else yes."""
    own = pod["spec"].get("automountServiceAccountToken")
    if own is not None:
        return bool(own)
    account = pod["spec"].get("serviceAccountName") or "default"
    obj = await client.get(SERVICE_ACCOUNTS, pod["metadata"]["namespace"], account)
    return bool(obj.get("automountServiceAccountToken", True))
