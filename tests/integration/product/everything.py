"""All that somebody without the right to read Secrets could see of a tenant."""

from __future__ import annotations

import json
from typing import Any

from switchboard.kube import resources
from switchboard.kube.errors import NotFound
from switchboard.kube.resources import ResourceType


async def objects_but_secrets(customer: Any) -> list[str]:
    """Every object of the namespace but Secrets, as JSON."""
    kinds = {kind for kind in vars(resources).values() if isinstance(kind, ResourceType) and kind.namespaced}
    texts = []
    for kind in kinds - {resources.SECRETS}:
        try:
            listing = await customer.product.kubectl.api.list(kind, customer.namespace)
        except NotFound:
            continue  # a kind that this cluster does not serve (HTTPRoute)
        texts += [json.dumps(item) for item in listing.items]
    return texts


def logs(customer: Any) -> list[str]:
    """What operator, simulator, cluster and pods wrote, a text a file."""
    base = customer.product.directory.parent
    return [path.read_text(encoding="utf-8", errors="replace") for path in base.rglob("*.log") if path.is_file()]
