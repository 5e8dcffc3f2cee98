"""A node that runs pods as local processes, and a router to them. A client of any control plane."""

from kubesandbox.node.agent import Node, NodeOptions

__all__ = ["Node", "NodeOptions"]
