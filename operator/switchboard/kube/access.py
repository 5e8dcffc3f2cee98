"""Where the API server is and who we are there: a kubeconfig, or the ServiceAccount that a pod is given.

Kubeconfigs with certificates, tokens or token files, and ServiceAccounts, are read here; those that log in through a
plug-in (`exec`, `auth-provider`) are handed to the official client, whose import costs more time and memory than all of
the webhook's own.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_SECONDS = 60
"""How long a token file's content is kept: the kubelet renews it in place."""


class AccessError(Exception):
    """There is no way to the API server; the message names the field and the mend."""


class Authorization(Protocol):
    """Gives the value of the Authorization header, or None for a client certificate."""

    async def header(self) -> str | None: ...


@dataclass(slots=True)
class Token:
    """A bearer token, fixed or in a file that is renewed."""

    value: str | None = None
    file: Path | None = None
    _read_at: float = 0

    async def header(self) -> str | None:
        if self.file is not None and time.monotonic() - self._read_at >= TOKEN_SECONDS:
            self.value, self._read_at = self.file.read_text().strip(), time.monotonic()
        return f"Bearer {self.value}" if self.value else None


@dataclass(frozen=True, slots=True)
class Basic:
    """A user name and password."""

    username: str
    password: str

    async def header(self) -> str | None:
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return f"Basic {pair}"


@dataclass(frozen=True, slots=True)
class Access:
    """A way to an API server."""

    server: str
    authorization: Authorization
    tls: ssl.SSLContext | None = None
    tls_server_name: str | None = None
    proxy: str | None = None
    namespace: str | None = None
    """The namespace that the kubeconfig's context or the ServiceAccount stands in."""


async def discover(kubeconfig: Path | None = None, context: str | None = None) -> Access:
    """The named kubeconfig, else `$KUBECONFIG`, else the pod's ServiceAccount, else `~/.kube/config`.

    Raises:
        AccessError: none of them can be used.
    """
    if kubeconfig is None and os.environ.get("KUBECONFIG"):
        kubeconfig = Path(os.environ["KUBECONFIG"].split(os.pathsep)[0])
    if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return in_cluster()
    path = kubeconfig or Path.home() / ".kube" / "config"
    return await from_kubeconfig(path, context)


def in_cluster(folder: Path = SERVICE_ACCOUNT) -> Access:
    """The API server as a pod reaches it."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = folder / "token"
    if not host or not token.is_file():
        raise AccessError(f"{token} is missing: does the pod's ServiceAccount mount its token?")
    namespace = folder / "namespace"
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        authorization=Token(file=token),
        tls=_tls((folder / "ca.crt").read_bytes()),
        namespace=namespace.read_text().strip() if namespace.is_file() else None,
    )


async def from_kubeconfig(path: Path, context: str | None = None) -> Access:
    """The API server of a kubeconfig's current or named context."""
    document = _read(path)
    name = context or document.get("current-context")
    if not name:
        raise AccessError(f"{path}: current-context is empty: choose one with `kubectl config use-context`")
    chosen = _named(document, "contexts", "context", name, path)
    cluster = _named(document, "clusters", "cluster", chosen.get("cluster"), path)
    user = _named(document, "users", "user", chosen["user"], path) if chosen.get("user") else {}
    server = str(cluster.get("server") or "").rstrip("/")
    if not server:
        raise AccessError(f"{path}: clusters[].cluster.server is missing")
    if "exec" in user or "auth-provider" in user:
        from switchboard.kube.plugins import through_plugin

        return await through_plugin(path, name)
    tls = None
    if server.startswith("https://"):
        tls = _tls(
            _data_or_file(cluster, "certificate-authority", path.parent),
            certificate=_data_or_file(user, "client-certificate", path.parent),
            key=_data_or_file(user, "client-key", path.parent),
            verify=not cluster.get("insecure-skip-tls-verify"),
        )
    return Access(
        server=server,
        authorization=_authorization(user, path.parent),
        tls=tls,
        tls_server_name=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url"),
        namespace=chosen.get("namespace"),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise AccessError(f"{path}: cannot be read: {error.strerror}. Set KUBECONFIG to a kubeconfig file.") from error
    except yaml.YAMLError as error:
        raise AccessError(f"{path}: is not YAML") from error
    if not isinstance(document, dict):
        raise AccessError(f"{path}: is not a kubeconfig: expected a mapping with clusters, users and contexts")
    return document


def _authorization(user: Mapping[str, Any], folder: Path) -> Authorization:
    if user.get("username"):
        return Basic(str(user["username"]), str(user.get("password", "")))
    if user.get("token"):
        return Token(value=str(user["token"]))
    return Token(file=folder / str(user["tokenFile"])) if user.get("tokenFile") else Token()


def _tls(
    ca: bytes | None, *, certificate: bytes | None = None, key: bytes | None = None, verify: bool = True
) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca.decode() if ca else None)
    # Clusters' own authorities often lack extensions that VERIFY_X509_STRICT (Python 3.13's default) asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate and key:
        with tempfile.TemporaryDirectory() as folder:  # the ssl module reads certificates only from files
            pair = Path(folder) / "pair.pem"
            pair.touch(0o600)
            pair.write_bytes(certificate + b"\n" + key)
            context.load_cert_chain(pair)
    return context


def _named(document: Mapping[str, Any], plural: str, singular: str, name: object, path: Path) -> dict[str, Any]:
    for entry in document.get(plural) or ():
        if entry.get("name") == name:
            return dict(entry.get(singular) or {})
    raise AccessError(f"{path}: {plural} holds no {name!r}")


def _data_or_file(entry: Mapping[str, Any], field: str, folder: Path) -> bytes | None:
    if entry.get(f"{field}-data"):
        try:
            return base64.b64decode(entry[f"{field}-data"], validate=True)
        except binascii.Error as error:
            raise AccessError(f"{field}-data is not base64") from error
    if entry.get(field):
        try:
            return (folder / str(entry[field])).read_bytes()
        except OSError as error:
            raise AccessError(f"{field}: {entry[field]} cannot be read: {error.strerror}") from error
    return None
