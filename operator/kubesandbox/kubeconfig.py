"""The kubeconfig that leads kubectl and clients here."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from pathlib import Path


def write(path: Path, server: str, *, certificate_authority: bytes | None = None, token: str | None = None) -> None:
    """Write a kubeconfig with one cluster and one user, readable by its owner only, in one step."""
    cluster = {"server": server}
    if certificate_authority:
        cluster["certificate-authority-data"] = base64.b64encode(certificate_authority).decode()
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kubesandbox", "cluster": cluster}],
        "users": [{"name": "kubernetes-admin", "user": {"token": token} if token else {}}],
        "contexts": [{"name": "kubesandbox", "context": {"cluster": "kubesandbox", "user": "kubernetes-admin"}}],
        "current-context": "kubesandbox",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        json.dump(body, file, indent=2)  # JSON is YAML
        file.write("\n")
    Path(temporary).replace(path)
