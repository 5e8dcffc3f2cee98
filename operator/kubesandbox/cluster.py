"""The pieces of one control plane, put together; each does its own part and finds the others here."""

from __future__ import annotations

from kubesandbox import metadata
from kubesandbox.admission import Admission
from kubesandbox.auth import ADMIN, CONTROLLER, User
from kubesandbox.hostile import Hostility
from kubesandbox.kinds import Kinds
from kubesandbox.listing import Lister
from kubesandbox.rbac.authorizer import Authorizer
from kubesandbox.store import Store
from kubesandbox.strategy import Request
from kubesandbox.tokens import Tokens


class Cluster:
    """One API server's state: objects, kinds, and what acts on them."""

    def __init__(self) -> None:
        self.store = Store()
        self.kinds = Kinds()
        self.lister = Lister(self.store)
        self.admission = Admission(self)
        self.tokens = Tokens(self.store)
        self.authorizer = Authorizer(self.store)
        # With TLS, the administrator shows a token; over plain HTTP, whoever shows nothing is the administrator.
        self.admin_token: str | None = None
        self.authority = b""  # the certificate that clients are to trust
        self.hostility: Hostility | None = None
        self.extensions: dict[type, object] = {}  # what strategies keep of their own, by its class

    def request(self, namespace: str = "", user: User = CONTROLLER) -> Request:
        """A request of the control plane's own."""
        return Request(self, user, namespace, manager="kube-controller-manager")


__all__ = ["ADMIN", "Cluster", "metadata"]
