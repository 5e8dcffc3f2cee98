"""One local port that leads to Services and Ingress paths of the cluster."""

from kubesandbox.node.router.proxy import Router

__all__ = ["Router"]
