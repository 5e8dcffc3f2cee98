"""A node that runs pods as local processes, and a router to them. A client of any control plane."""

from collections.abc import Callable

from kubesandbox.client import Client
from kubesandbox.node.agent import Node, NodeOptions

__all__ = ["Node", "NodeOptions", "run"]


async def run(client: Client, options: NodeOptions | None = None, ready: Callable[[Node], None] | None = None) -> None:
    """Run a node until cancelled; `ready` is called with it once its Node object is Ready and its router listens."""
    async with Node(client, options) as node:
        if ready is not None:
            ready(node)
        await node.wait()
