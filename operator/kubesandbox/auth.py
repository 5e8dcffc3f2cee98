"""Who asks: nobody's credentials are the administrator's, a ServiceAccount's token is that account's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"


@dataclass(frozen=True)
class User:
    """A request's user as the authorizer and access reviews see it."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    impersonated: bool = False  # whose rights are asked about: RBAC's say, even where it is not enforced

    @property
    def is_admin(self) -> bool:
        """Whether every request of theirs is allowed."""
        return MASTERS in self.groups


# client-go sends no token over plain HTTP: who comes with nothing is the person who started the sandbox.
ADMIN = User("kubernetes-admin", (MASTERS, "kubeadm:cluster-admins", AUTHENTICATED))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
CONTROLLER = User("system:kube-controller-manager", (MASTERS, AUTHENTICATED))
