"""What every namespace has: its default ServiceAccount, and the ConfigMap with the cluster's CA."""

from kubesandbox.client import ApiError, Change, Key
from kubesandbox.client.resources import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from kubesandbox.controllers import pods as about
from kubesandbox.controllers.loop import Queue, Shared, work

ROOT_CA = "kube-root-ca.crt"
ROOT_CA_NOTE = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class Accounts:
    def __init__(self, shared: Shared) -> None:
        self._client = shared.client
        self._namespaces = shared.cache(NAMESPACES)
        self._accounts = shared.cache(SERVICE_ACCOUNTS)
        self._queue = Queue()
        self._namespaces.listen(self._namespace_changed)
        self._accounts.listen(self._account_changed)

    async def run(self) -> None:
        await work("namespace", self._queue, self._reconcile)

    def _namespace_changed(self, change: Change) -> None:
        if change.old is None:
            self._queue.add(("", change.current["metadata"]["name"]))

    def _account_changed(self, change: Change) -> None:
        if change.new is None and change.current["metadata"]["name"] == "default":
            self._queue.add(("", change.current["metadata"]["namespace"]))

    async def _reconcile(self, key: Key) -> None:
        namespace = self._namespaces.get(*key)
        if namespace is None or about.is_deleted(namespace):
            return
        name = namespace["metadata"]["name"]
        ca = self._client.config.ca_data
        account = {"metadata": {"name": "default", "namespace": name}}
        root = {
            "metadata": {
                "name": ROOT_CA,
                "namespace": name,
                "annotations": {"kubernetes.io/description": ROOT_CA_NOTE},
            },
            "data": {"ca.crt": ca.decode() if ca else ""},
        }
        for resource, wanted in ((SERVICE_ACCOUNTS, account), (CONFIG_MAPS, root)):
            try:
                await self._client.create(resource, wanted)
            except ApiError as error:
                terminating = error.code == 403 and "being terminated" in error.message
                if not (error.already_exists or error.not_found or terminating):
                    raise
