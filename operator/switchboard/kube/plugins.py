"""Kubeconfigs that log in through a plug-in, read by the official client."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from kubernetes.aio import client, config

from switchboard.kube.access import Access, AccessError


class _Refreshed:
    """The official client's own token, renewed by it when it expires."""

    def __init__(self, configuration: Any, loader: Any) -> None:
        self._configuration, self._loader = configuration, loader

    async def header(self) -> str | None:
        await self._loader.load_and_set(self._configuration)  # asks the plug-in again only after the token's expiry
        value = self._configuration.api_key.get("BearerToken")
        return str(value) if value else None


async def through_plugin(path: Path, context: str) -> Access:
    """The API server of a kubeconfig whose user has `exec` or `auth-provider`.

    Raises:
        AccessError: the plug-in gave no credentials.
    """
    configuration = client.Configuration()
    loader = config.kube_config._get_kube_config_loader_for_yaml_file(str(path), active_context=context)
    try:
        await loader.load_and_set(configuration)
    except config.ConfigException as error:
        raise AccessError(f"{path}: the log-in plug-in of context {context!r} gave no credentials: {error}") from error
    tls = None
    if configuration.host.startswith("https://"):
        tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if configuration.cert_file:
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
        if not configuration.verify_ssl:
            tls.check_hostname = False
            tls.verify_mode = ssl.CERT_NONE
    return Access(
        server=configuration.host.rstrip("/"),
        authorization=_Refreshed(configuration, loader),
        tls=tls,
        tls_server_name=configuration.tls_server_name,
        proxy=configuration.proxy,
    )
