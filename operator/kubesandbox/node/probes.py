"""Startup, liveness and readiness probes."""

import asyncio
import contextlib
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from kubesandbox.client import Object

USER_AGENT = "kube-probe/1.36"


class ProbeError(Exception):
    """The probe as it is written cannot be run here; the text says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    success: bool
    message: str = ""


class Execute(Protocol):
    """Runs a command in the container: (exit code, combined output), or TimeoutError."""

    async def __call__(self, command: list[str], timeout: float) -> tuple[int, str]: ...  # noqa: ASYNC109


@dataclass(frozen=True, slots=True)
class Target:
    """The container to probe: `address` is where it listens, `announced` what messages call it."""

    address: str
    announced: str
    ports: dict[str, int]
    execute: Execute

    def port(self, value: int | str) -> int:
        if isinstance(value, int) or value.isdigit():
            return int(value)
        if value not in self.ports:
            raise ProbeError(f"couldn't find port: {value} in the container")
        return self.ports[value]


async def probe(handler: Object, target: Target, session: aiohttp.ClientSession) -> Outcome:
    """Run one probe or lifecycle handler once, with its timeoutSeconds. Raises ProbeError for one that cannot be."""
    seconds = float(handler.get("timeoutSeconds", 1))
    if "httpGet" in handler:
        return await _http(handler["httpGet"], target, session, seconds)
    if "tcpSocket" in handler:
        return await _tcp(handler["tcpSocket"], target, seconds)
    if "exec" in handler:
        try:
            code, output = await target.execute(handler["exec"]["command"], seconds)
        except TimeoutError:
            return Outcome(False, f"command timed out: {handler['exec']['command']} timed out after {seconds:g}s")
        return Outcome(code == 0, output)
    kinds = ", ".join(key for key in handler if not key.endswith(("Seconds", "Threshold")))
    raise ProbeError(f"kubesandbox's node runs httpGet, tcpSocket and exec probes, not {kinds or 'an empty one'}")


async def keep_probing(
    spec: Object,
    run: Callable[[], Awaitable[Outcome]],
    *,
    changed: Callable[[bool], None],
    failed: Callable[[str], None],
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Probe at the period for ever; `changed(result)` each time the thresholds settle on a result.

    `failed(message)` is called at each failure. A first success before any other result counts at once if
    successThreshold is 1, as it does in the kubelet.
    """
    period = float(spec.get("periodSeconds", 10))
    thresholds = {True: spec.get("successThreshold", 1), False: spec.get("failureThreshold", 3)}
    last: bool | None = None
    row = 0
    if spec.get("initialDelaySeconds"):
        await wait(float(spec["initialDelaySeconds"]))
    while True:
        started = time.monotonic()
        outcome = await run()
        if not outcome.success:
            failed(outcome.message)
        row = row + 1 if outcome.success == last else 1
        last = outcome.success
        if row >= thresholds[outcome.success]:
            changed(outcome.success)
        await wait(max(0.0, period - (time.monotonic() - started)))


async def _http(spec: Object, target: Target, session: aiohttp.ClientSession, seconds: float) -> Outcome:
    scheme = spec.get("scheme", "HTTP").lower()
    port = target.port(spec["port"])
    path = spec.get("path") or "/"
    if not path.startswith("/"):
        path = f"/{path}"
    shown = f"{scheme}://{spec.get('host') or target.announced}:{port}{path}"
    url = f"{scheme}://{spec.get('host') or target.address}:{port}{path}"
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    headers |= {header["name"]: header["value"] for header in spec.get("httpHeaders") or ()}
    try:
        async with session.get(
            url,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=seconds),
            allow_redirects=False,
            ssl=_unverified() if scheme == "https" else True,
        ) as response:
            await response.content.read(10 * 1024)
            if 200 <= response.status < 400:
                return Outcome(True)
            return Outcome(False, f"HTTP probe failed with statuscode: {response.status}")
    except TimeoutError:
        reason = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return Outcome(False, f'Get "{shown}": {reason}')
    except aiohttp.ClientConnectorError as error:
        return Outcome(False, f'Get "{shown}": dial tcp {target.announced}:{port}: connect: {_errno(error)}')
    except (aiohttp.ClientError, OSError):
        return Outcome(False, f'Get "{shown}": EOF')


async def _tcp(spec: Object, target: Target, seconds: float) -> Outcome:
    port = target.port(spec["port"])
    host = spec.get("host") or target.address
    shown = spec.get("host") or target.announced
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(False, f"dial tcp {shown}:{port}: i/o timeout")
    except OSError as error:
        return Outcome(False, f"dial tcp {shown}:{port}: connect: {_errno(error)}")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Outcome(True)


def _unverified() -> ssl.SSLContext:
    """The kubelet does not verify a probed certificate either."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _errno(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
