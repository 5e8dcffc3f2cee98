"""What a pod's processes log in to the API server with: the files of its ServiceAccount, and a kubeconfig of them."""

import base64
from dataclasses import dataclass

import yaml

from kubesandbox.client import Config, Object
from kubesandbox.node.volumes import File

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
LIFETIME_SECONDS = 3607
"""What the ServiceAccount admission plug-in asks for."""


@dataclass(frozen=True, slots=True)
class Server:
    """The API server as a pod reaches it."""

    url: str
    ca_data: bytes | None
    insecure: bool

    @classmethod
    def of(cls, config: Config) -> "Server":
        return cls(config.server, config.ca_data, config.insecure_skip_tls_verify)


def files(server: Server, pod: Object, token: str) -> dict[str, File]:
    """`token`, `ca.crt`, `namespace` as Kubernetes mounts them, and `kubeconfig`, which reads the token file anew."""
    namespace = pod["metadata"]["namespace"]
    result = {
        "token": File(token.encode(), 0o600),
        "namespace": File(namespace.encode(), 0o644),
        "kubeconfig": File(kubeconfig(server, namespace).encode(), 0o600),
    }
    if server.ca_data:
        result["ca.crt"] = File(server.ca_data, 0o644)
    return result


def kubeconfig(server: Server, namespace: str) -> str:
    """A kubeconfig beside a `token` file; relative paths in it count from its own folder."""
    cluster: Object = {"server": server.url}
    if server.ca_data:
        cluster["certificate-authority-data"] = base64.b64encode(server.ca_data).decode()
    if server.insecure:
        cluster["insecure-skip-tls-verify"] = True
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "serviceaccount", "user": {"tokenFile": "token"}}],
            "contexts": [
                {
                    "name": "pod",
                    "context": {"cluster": "cluster", "user": "serviceaccount", "namespace": namespace},
                }
            ],
            "current-context": "pod",
        },
        sort_keys=False,
    )
