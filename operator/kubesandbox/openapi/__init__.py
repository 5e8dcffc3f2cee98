"""OpenAPI documents of what is served: for `kubectl explain`, apply's merge keys and clients' validation."""

from kubesandbox.openapi.documents import OpenApi

__all__ = ["OpenApi"]
