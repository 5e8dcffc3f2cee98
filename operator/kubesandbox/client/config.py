"""Where the API server is and who we are there: read from a kubeconfig."""

import base64
import binascii
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class ConfigError(Exception):
    """The kubeconfig cannot be used; the message names the field and the mend."""


@dataclass(frozen=True, slots=True)
class Config:
    """A server's URL, how to trust it and what to show it."""

    server: str
    ca_data: bytes | None = None
    client_certificate: bytes | None = None
    client_key: bytes | None = None
    token: str | None = None
    token_file: Path | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None

    @classmethod
    def load(cls, path: Path, context: str | None = None) -> "Config":
        """Read `path` as kubectl does, in its current context or the named one.

        Raises ConfigError for a file that is not a kubeconfig, or that asks for a way to log in that is not
        supported (exec and auth-provider plug-ins, basic auth).
        """
        try:
            document = yaml.safe_load(path.read_text())
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: is not YAML") from error
        if not isinstance(document, dict):
            raise ConfigError(f"{path}: is not a kubeconfig: expected a mapping with clusters, users and contexts")
        name = context or document.get("current-context")
        if not name:
            raise ConfigError(f"{path}: current-context is empty: choose one with `kubectl config use-context`")
        chosen = _named(document, "contexts", "context", name, path)
        cluster = _named(document, "clusters", "cluster", chosen.get("cluster"), path)
        user = _named(document, "users", "user", chosen["user"], path) if chosen.get("user") else {}
        for unsupported in ("exec", "auth-provider", "username"):
            if unsupported in user:
                raise ConfigError(f"{path}: users[].user.{unsupported} is not supported: give a token or a certificate")
        if not cluster.get("server"):
            raise ConfigError(f"{path}: clusters[].cluster.server is missing")
        folder = path.parent
        token_file = user.get("tokenFile")
        return cls(
            server=str(cluster["server"]).rstrip("/"),
            ca_data=_data_or_file(cluster, "certificate-authority", folder),
            client_certificate=_data_or_file(user, "client-certificate", folder),
            client_key=_data_or_file(user, "client-key", folder),
            token=user.get("token"),
            token_file=folder / token_file if token_file else None,
            insecure_skip_tls_verify=bool(cluster.get("insecure-skip-tls-verify")),
            tls_server_name=cluster.get("tls-server-name"),
        )

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS settings, or None for a plain HTTP server."""
        if not self.server.startswith("https://"):
            return None
        context = ssl.create_default_context(cadata=self.ca_data.decode() if self.ca_data else None)
        # Certificates of local clusters often lack the extensions that VERIFY_X509_STRICT asks for; Go's client
        # does not ask for them either.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if self.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_certificate and self.client_key:
            with tempfile.TemporaryDirectory() as folder:  # mode 0700; the ssl module reads only from files
                pair = Path(folder) / "pair.pem"
                pair.touch(0o600)
                pair.write_bytes(self.client_certificate + b"\n" + self.client_key)
                context.load_cert_chain(pair)
        return context

    def bearer_token(self) -> str | None:
        """The token to send; a token file is read anew each time, because it is renewed in place."""
        if self.token_file is not None:
            return self.token_file.read_text().strip()
        return self.token


def _named(document: Mapping[str, Any], plural: str, singular: str, name: object, path: Path) -> dict[str, Any]:
    for entry in document.get(plural) or ():
        if entry.get("name") == name:
            return dict(entry.get(singular) or {})
    raise ConfigError(f"{path}: {plural} holds no {name!r}")


def _data_or_file(entry: Mapping[str, Any], field: str, folder: Path) -> bytes | None:
    if entry.get(f"{field}-data"):
        try:
            return base64.b64decode(entry[f"{field}-data"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ConfigError(f"{field}-data is not base64") from error
    if entry.get(field):
        try:
            return (folder / str(entry[field])).read_bytes()
        except OSError as error:
            raise ConfigError(f"{field}: {entry[field]} cannot be read: {error.strerror}") from error
    return None
