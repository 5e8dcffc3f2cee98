"""Namespaces of one operator, which a module of tests has for itself."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import Any

import pytest

from switchboard.kube.errors import NotFound
from switchboard.kube.resources import TWILIO_CONNECTORS


def needed(request: pytest.FixtureRequest) -> int:
    """How many namespaces a module's tests take, with some to spare for those that run again.

    An operator watches each namespace that it is told of: few of them keep it quick.
    """
    tests = sum(item.path == request.path for item in request.session.items)
    return tests + max(8, tests // 2)


class Namespaces:
    """Names that an operator is told of before it starts; each namespace is made when a test takes it."""

    def __init__(self, kubectl: Any, prefix: str, count: int) -> None:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        run = f"{prefix}-{worker}-{secrets.token_hex(3)}"
        self.names = [f"{run}-{index:02d}" for index in range(count)]
        self._kubectl = kubectl
        self._taken = 0

    async def take(self) -> str:
        """A namespace that no other test has."""
        name = self.names[self._taken]
        self._taken += 1
        await self._kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
        return name

    def left(self) -> list[str]:
        """The names that are still to be taken."""
        return self.names[self._taken :]

    async def leave(self, *, served: bool = True) -> None:
        """Deletes them, and returns when nothing waits for the operator any more: all else needs only time.

        Without an operator (`served`) the finalizers are taken away, as its users would have to.
        """
        for name in self.names[: self._taken]:
            with contextlib.suppress(NotFound):
                await self._kubectl.delete_namespace(name)
        for name in self.names[: self._taken]:
            for connector in (await self._kubectl.api.list(TWILIO_CONNECTORS, name)).items:
                await self._end(name, connector["metadata"]["name"], served=served)

    async def _end(self, namespace: str, name: str, *, served: bool) -> None:
        """A namespace's own deletion comes to it some seconds later."""
        with contextlib.suppress(NotFound):
            await self._kubectl.api.delete(TWILIO_CONNECTORS, name, namespace)
            if not served:
                patch = {"metadata": {"finalizers": None}}
                await self._kubectl.api.merge_patch(TWILIO_CONNECTORS, name, namespace, patch)
        await self._kubectl.until(TWILIO_CONNECTORS, name, lambda _: True, namespace, gone=True)
