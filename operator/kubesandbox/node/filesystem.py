"""A pod's directory: volumes, credentials, logs, and where each mount path of a container really is."""

import asyncio
import datetime as dt
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from kubesandbox.client import Client, Object
from kubesandbox.node import credentials, volumes
from kubesandbox.node.environment import ContainerConfigError, Facts, expand
from kubesandbox.node.sources import Sources, Token, automounts, request_token

TERMINATION_LOG = "/dev/termination-log"


class PodFiles:
    """The files of one pod, kept up to date until `remove`."""

    def __init__(self, root: Path, client: Client, sources: Sources, pod: Object) -> None:
        self.root = root
        self.logs = root / "logs"
        self._client, self._sources = client, sources
        self._pod = pod
        self._config_maps, self._secrets = volumes.referenced(pod["spec"])
        self._tokens: dict[tuple[str, str], Token] = {}
        self._credentials: Token | None = None
        self._automount = False

    def refers_to(self, kind: str, name: str) -> bool:
        return name in (self._config_maps if kind == "ConfigMap" else self._secrets)

    async def set_up(self, pod: Object, facts: Facts) -> None:
        """Make every volume and the credentials. Raises MountError or ApiError; call it again then."""
        for volume in pod["spec"].get("volumes") or ():
            if kind := volumes.unsupported(volume):
                raise volumes.MountError(
                    f'MountVolume.SetUp failed for volume "{volume["name"]}" : kubesandbox\'s node has no volumes of '
                    f"type {kind}, only {', '.join(volumes.SUPPORTED)}"
                )
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        self.temporary.mkdir(exist_ok=True)
        self._automount = await automounts(self._client, pod)
        await self.refresh(pod, facts)

    async def refresh(self, pod: Object, facts: Facts) -> None:
        """Bring the files up to what the references, labels and tokens are now."""
        self._pod = pod
        references = await self._sources.read(pod["metadata"]["namespace"], self._config_maps, self._secrets)
        for volume in pod["spec"].get("volumes") or ():
            folder = self._volume(volume["name"])
            if "emptyDir" in volume:
                folder.mkdir(parents=True, exist_ok=True)
                continue
            try:
                payload = volumes.files(volume, pod, references, facts)
            except volumes.MountError as error:
                message = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
                raise volumes.MountError(message) from error
            for wanted in volumes.tokens(volume):
                token = await self._token(pod, wanted.audience, wanted.expiration_seconds, volume["name"])
                payload[wanted.path] = volumes.File(token.value.encode(), 0o600)
            volumes.write(folder, payload)
        if self._automount:
            token = await self._token(pod, "", credentials.LIFETIME_SECONDS, "")
            server = credentials.Server.of(self._client.config)
            volumes.write(self._credentials_folder, credentials.files(server, pod, token.value))

    async def keep_tokens(self, refresh: asyncio.Event) -> None:
        """Set `refresh` whenever a token is due for renewal."""
        while True:
            due = min((token.renew_at() for token in self._tokens.values()), default=None)
            seconds = 3600.0 if due is None else (due - dt.datetime.now(dt.UTC)).total_seconds()
            await asyncio.sleep(max(seconds, 1.0))
            if due is not None and dt.datetime.now(dt.UTC) >= due:
                refresh.set()

    def mounts(self, container: Object, variables: Mapping[str, str]) -> dict[str, Path]:
        """Real paths by mount path; the credentials' only where no volume is mounted there.

        `variables` are the container's environment, for subPathExpr.
        """
        result = {}
        if self._automount:
            result[credentials.MOUNT_PATH] = self._credentials_folder
        for mount in container.get("volumeMounts") or ():
            path = self._volume(mount["name"])
            below = mount.get("subPath") or expand(mount.get("subPathExpr") or "", variables)
            result[mount["mountPath"]] = path / _below(below) if below else path
        result[container.get("terminationMessagePath") or TERMINATION_LOG] = self.message_file(container["name"])
        return result

    @property
    def kubeconfig(self) -> Path | None:
        return self._credentials_folder / "kubeconfig" if self._automount else None

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def message_file(self, container: str) -> Path:
        return self._container(container) / "termination-log"

    def working_directory(self, container: str) -> Path:
        folder = self._container(container) / "work"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _volume(self, name: str) -> Path:
        return self.root / "volumes" / name

    def _container(self, name: str) -> Path:
        return self.root / "containers" / name

    @property
    def _credentials_folder(self) -> Path:
        return self.root / "credentials"

    async def _token(self, pod: Object, audience: str, seconds: int, where: str) -> Token:
        held = self._tokens.get((where, audience))
        if held is None or dt.datetime.now(dt.UTC) >= held.renew_at():
            held = await request_token(self._client, pod, audience=audience, seconds=seconds)
            self._tokens[where, audience] = held
        return held


def _below(path: str) -> PurePosixPath:
    try:
        return volumes.relative(path)
    except volumes.MountError as error:
        raise ContainerConfigError(f"failed to prepare subPath for volumeMount: {error}") from error
