"""The kubelet's own HTTPS port: container logs, for the API server to hand on."""

import datetime as dt
import ipaddress
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from kubesandbox.node import logs
from kubesandbox.node.container import ContainerRunner
from kubesandbox.node.logs import LogFile, LogQuery
from kubesandbox.node.status import Waiting

FindPod = Callable[[str, str], Callable[[str], ContainerRunner | None] | None]
"""Given namespace and name: what finds the pod's containers, or None if the pod is not here."""


class KubeletServer:
    """Serves `GET /containerLogs/{namespace}/{pod}/{container}` as the kubelet does.

    It listens on the node's address only and asks for no credentials: whoever may connect to it on this machine may
    read logs.
    """

    def __init__(self, find: FindPod) -> None:
        self._find = find
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        app.router.add_get("/healthz", self._healthz)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)

    async def start(self, address: str, port: int = 0) -> int:
        """Listen, and give the port."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port, ssl_context=self_signed(address))
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        found = request.match_info
        pod = self._find(found["namespace"], found["pod"])
        if pod is None:
            return web.Response(status=404, text=f'pod "{found["pod"]}" not found\n')
        runner = pod(found["container"])
        if runner is None:
            text = f'container "{found["container"]}" in pod "{found["pod"]}" is not available\n'
            return web.Response(status=404, text=text)
        try:
            query = query_of(request)
            log = choose(runner, found["pod"], previous=_flag(request, "previous"))
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        batch = bytearray()
        async for line in logs.read(log, query):
            batch += line
            if query.follow or len(batch) > 1 << 16:
                await response.write(bytes(batch))
                batch.clear()
        if batch:
            await response.write(bytes(batch))
        await response.write_eof()
        return response


def choose(runner: ContainerRunner, pod: str, *, previous: bool) -> LogFile:
    """The run of which the log is asked for. Raises ValueError with the kubelet's text when there is none."""
    name = runner.view.name
    if previous:
        if len(runner.runs) < 2 and not (runner.runs and isinstance(runner.view.state, Waiting)):
            raise ValueError(f'previous terminated container "{name}" in pod "{pod}" not found')
        return runner.runs[-1] if isinstance(runner.view.state, Waiting) else runner.runs[-2]
    if not runner.runs:
        reason = runner.view.state.reason if isinstance(runner.view.state, Waiting) else "ContainerCreating"
        raise ValueError(f'container "{name}" in pod "{pod}" is waiting to start: {reason}')
    return runner.runs[-1]


def query_of(request: web.Request) -> LogQuery:
    """The query's parameters. Raises ValueError for one that is not a number or a time."""
    args = request.query
    since = None
    if "sinceSeconds" in args:
        since = logs.since_seconds(int(args["sinceSeconds"]))
    elif "sinceTime" in args:
        since = logs.since_time(args["sinceTime"])
    stream = args.get("stream", "All")
    return LogQuery(
        follow=_flag(request, "follow"),
        tail_lines=int(args["tailLines"]) if "tailLines" in args else None,
        timestamps=_flag(request, "timestamps"),
        since=since,
        limit_bytes=int(args["limitBytes"]) if "limitBytes" in args else None,
        stream=None if stream == "All" else stream.lower(),
    )


def self_signed(address: str) -> ssl.SSLContext:
    """TLS with a key and certificate made now. API servers do not verify it unless they are told a CA."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubesandbox-node")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.pem"
        pair.touch(0o600)
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        pair.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem)
        )
        context.load_cert_chain(pair)
    return context


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "").lower() in {"true", "1"}
