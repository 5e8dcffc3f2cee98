"""What `kubectl get` would print, from the same answer of the API server that kubectl asks for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import aiohttp

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def table(
    session: aiohttp.ClientSession,
    url: str,
    columns: Collection[str] | None = None,
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Header and rows of a list, oldest first.

    Args:
        session: Where the request is made.
        url: The list's URL at the API server.
        columns: The columns to show; without it, those that `kubectl get` shows without `-o wide`.

    Raises:
        aiohttp.ClientResponseError: the API server refused.
    """
    params = {"includeObject": "Object"}
    async with session.get(url, params=params, headers={"Accept": TABLE}, raise_for_status=True) as response:
        body: dict[str, Any] = await response.json()
    definitions = body["columnDefinitions"]
    shown = [
        index
        for index, column in enumerate(definitions)
        if (column["name"] in columns if columns is not None else not column.get("priority"))
    ]
    rows = sorted(body.get("rows") or [], key=_age)
    return (
        [definitions[index]["name"].upper() for index in shown],
        [["" if row["cells"][index] is None else str(row["cells"][index]) for index in shown] for row in rows],
    )


def _age(row: dict[str, Any]) -> tuple[str, int, str]:
    """Objects are as old as the second they were made in; what is of one second has a sequence or a finer time."""
    made = row["object"]
    status = made.get("status", {})
    finer = status.get("startTime") or status.get("lastMessageTime") or ""
    return made["metadata"].get("creationTimestamp", ""), made.get("spec", {}).get("sequence", 0), finer
