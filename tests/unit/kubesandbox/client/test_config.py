"""Kubeconfigs, and requests over TLS with a client certificate as a real API server asks for."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kubesandbox.client import ApiError, Client, Config, ConfigError, Object
from kubesandbox.client import http as module
from kubesandbox.client.resources import CONFIG_MAPS


@dataclass(frozen=True)
class Pair:
    certificate: bytes
    key: bytes


class Authority:
    """A CA of this test's own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test-ca")])
        self.pem = self._sign(self._name, self._key.public_key(), authority=True)

    def issue(self, name: str) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        return Pair(self._sign(subject, key.public_key(), authority=False), private)

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, authority: bool) -> bytes:
        now = dt.datetime.now(dt.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


AUTHORITY = Authority()


def kubeconfig(path: Path, cluster: Object, user: Object) -> Path:
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest_asyncio.fixture
async def tls_server(tmp_path: Path) -> AsyncIterator[str]:
    """Answers who asks, and asks for a client certificate."""
    pair = AUTHORITY.issue("server")
    (tmp_path / "server.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(cadata=AUTHORITY.pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED

    async def who(request: web.Request) -> web.Response:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert")
        return web.json_response(
            {"kind": "ConfigMap", "data": {"who": dict(x[0] for x in peer["subject"])["commonName"]}}
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", who)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_certificates_in_the_file_or_beside_it_log_in(tls_server: str, tmp_path: Path) -> None:
    pair = AUTHORITY.issue("kubelet")
    inline = {"client-certificate-data": encoded(pair.certificate), "client-key-data": encoded(pair.key)}
    cluster = {"server": tls_server, "certificate-authority-data": encoded(AUTHORITY.pem)}
    (tmp_path / "crt").write_bytes(pair.certificate)
    (tmp_path / "key").write_bytes(pair.key)
    (tmp_path / "ca").write_bytes(AUTHORITY.pem)
    beside = {"client-certificate": "crt", "client-key": "key"}
    for path in (
        kubeconfig(tmp_path / "one", cluster, inline),
        kubeconfig(tmp_path / "two", {"server": tls_server, "certificate-authority": "ca"}, beside),
    ):
        async with Client(Config.load(path)) as client:
            answer = await client.get(CONFIG_MAPS, "ns", "x")
        assert answer["data"] == {"who": "kubelet"}


async def test_a_server_of_another_authority_is_not_trusted(tls_server: str, tmp_path: Path) -> None:
    stranger = {"server": tls_server, "certificate-authority-data": encoded(Authority().pem)}
    async with Client(Config.load(kubeconfig(tmp_path / "k", stranger, {}))) as client:
        with pytest.raises(OSError, match="certificate verify failed"):
            await client.get(CONFIG_MAPS, "ns", "x")


def test_a_token_file_is_read_anew(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path / "k", {"server": "http://x"}, {"tokenFile": "token"})
    config = Config.load(path)
    for value in ("one", "two"):
        (tmp_path / "token").write_text(f"{value}\n")
        assert config.bearer_token() == value


@pytest.mark.parametrize(
    ("cluster", "user", "text"),
    [
        ({}, {}, "server is missing"),
        ({"server": "x"}, {"exec": {}}, "exec is not supported"),
        ({"server": "x"}, {"client-key": "none"}, "client-key: none cannot be read"),
        ({"server": "x", "certificate-authority-data": "%%"}, {}, "certificate-authority-data is not base64"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, cluster: Object, user: Object, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Config.load(kubeconfig(tmp_path / "k", cluster, user))


@pytest.mark.parametrize("content", ["", "[]", "a: [", "current-context: x\n"])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "k").write_text(content)
    with pytest.raises(ConfigError):
        Config.load(tmp_path / "k")


@pytest_asyncio.fixture
async def busy_server() -> AsyncIterator[tuple[str, list[int]]]:
    """Says 429 as often as the test wants, then answers; or sends a watch with very long lines."""
    left = [0]

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            response = web.StreamResponse()
            await response.prepare(request)
            for size in (10, 300_000):
                line = '{"type":"ADDED","object":{"metadata":{"name":"%s"}}}\n' % ("x" * size)
                for start in range(0, len(line), 50_000):
                    await response.write(line[start : start + 50_000].encode())
            await response.write(b'{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"old"}}\n')
            return response
        if left[0]:
            left[0] -= 1
            status = {"kind": "Status", "reason": "TooManyRequests", "message": "slow down"}
            return web.json_response(status, status=429, headers={"Retry-After": "0"})
        return web.json_response({"kind": "ConfigMap"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", left
    await runner.cleanup()


async def test_too_many_requests_are_waited_out_but_not_for_ever(busy_server: tuple[str, list[int]]) -> None:
    url, left = busy_server
    async with Client(Config(url)) as client:
        left[0] = 3
        assert await client.get(CONFIG_MAPS, "ns", "x") == {"kind": "ConfigMap"}
        left[0] = module.TOO_MANY_REQUESTS_RETRIES + 1
        with pytest.raises(ApiError, match="slow down"):
            await client.get(CONFIG_MAPS, "ns", "x")


async def test_a_watch_gives_objects_of_any_size_and_raises_its_error(busy_server: tuple[str, list[int]]) -> None:
    sizes = []

    async def follow(client: Client) -> None:
        async for _, obj in client.watch(CONFIG_MAPS, resource_version="1"):
            sizes.append(len(obj["metadata"]["name"]))

    async with Client(Config(busy_server[0])) as client:
        with pytest.raises(ApiError) as raised:
            await follow(client)
    assert sizes == [10, 300_000]
    assert raised.value.expired
