"""`pods/log`: handed on from the node that runs the pod, as kube-apiserver does from a kubelet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from kubesandbox import crud, errors
from kubesandbox.errors import StatusError
from kubesandbox.objects import Object, dig
from kubesandbox.options import truth
from kubesandbox.schema import causes
from kubesandbox.wire.messages import Answer, HttpRequest, Stream

if TYPE_CHECKING:
    import aiohttp

    from kubesandbox.cluster import Cluster
    from kubesandbox.kinds import Kind
    from kubesandbox.paths import RequestInfo
    from kubesandbox.strategy import Request

TEXT = "text/plain"
_NUMBERS = ("tailLines", "sinceSeconds", "limitBytes")
_FLAGS = ("follow", "previous", "timestamps")
# kube-apiserver's --kubelet-preferred-address-types, as it is unless told otherwise.
_PREFERRED = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")


async def log(kind: Kind, info: RequestInfo, request: HttpRequest, context: Request) -> Answer | Stream:
    """GET of a pod's log."""
    pod = crud.get(kind, context, info.name).object
    query = _query(request, info.name)
    container = _container(pod, request.param("container") or "")
    node_name = pod["spec"].get("nodeName")
    if not node_name:
        return Answer(204, b"", TEXT)
    address, port = _kubelet(context.cluster, node_name)
    url = f"https://{address}:{port}/containerLogs/{info.namespace}/{info.name}/{container}?{urlencode(query)}"
    return await _fetch(url, info.name, follow="follow" in query)


def _query(request: HttpRequest, pod: str) -> dict[str, str]:
    """The kubelet's parameters of a PodLogOptions; 422 for what makes no sense."""
    query: dict[str, str] = {}
    found: list[causes.Cause] = []
    for name in _NUMBERS:
        text = request.param(name)
        if not text:
            continue
        if not text.lstrip("-").isdigit():
            raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        least = 0 if name == "tailLines" else 1
        if int(text) < least:
            found.append(
                causes.invalid(
                    name,
                    int(text),
                    f"must be greater than or equal to {least}" if least == 0 else "must be greater than 0",
                )
            )
        query[name] = text
    for name in _FLAGS:
        if truth(request.param(name)):
            query[name] = "true"
    since = request.param("sinceTime")
    if since:
        if "sinceSeconds" in query:
            found.append(causes.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
        query["sinceTime"] = since
    stream = request.param("stream")
    if stream and stream != "All":
        raise errors.not_implemented("logs of one stream only: both are kept together")
    if found:
        raise errors.invalid("", "PodLogOptions", pod, found)
    return query


def _container(pod: Object, asked: str) -> str:
    spec, name = pod["spec"], pod["metadata"]["name"]
    groups = [
        [c["name"] for c in spec.get(key) or ()] for key in ("containers", "initContainers", "ephemeralContainers")
    ]
    if asked:
        if not any(asked in group for group in groups):
            raise errors.bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    main, init, _ = groups
    if len(main) == 1:
        return str(main[0])
    text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(main)}]"
    if init:
        text += f" or one of the init containers: [{' '.join(init)}]"
    raise errors.bad_request(text)


def _kubelet(cluster: Cluster, name: str) -> tuple[str, int]:
    node = cluster.store.table("", "nodes").get("", name)
    if node is None:
        raise errors.not_found("", "nodes", name)
    port = dig(node.object, "status", "daemonEndpoints", "kubeletEndpoint", "Port")
    addresses = {a["type"]: a["address"] for a in dig(node.object, "status", "addresses") or ()}
    address = next((addresses[kind] for kind in _PREFERRED if kind in addresses), "")
    if not port or not address:
        raise errors.internal_error(f"no preferred addresses found; known addresses: {sorted(addresses.values())}")
    return address, port


async def _fetch(url: str, name: str, *, follow: bool) -> Answer | Stream:
    import aiohttp

    # As kube-apiserver without --kubelet-certificate-authority: the kubelet's certificate is its own.
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=False), timeout=aiohttp.ClientTimeout(total=None, sock_connect=10)
    )
    try:
        response = await session.get(url)
        body = b"" if follow and response.status == 200 else await response.read()
    except BaseException as error:
        await session.close()
        if isinstance(error, aiohttp.ClientError):
            raise errors.internal_error(f"Get {url!r}: {error}") from None
        raise
    if follow and response.status == 200:
        return Stream(_chunks(session, response), content_type=TEXT)
    await session.close()
    if response.status != 200:
        raise _refused(response.status, body.decode(errors="replace").strip(), name)
    return Answer(200, body, TEXT)


async def _chunks(session: aiohttp.ClientSession, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    import aiohttp

    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except aiohttp.ClientError:
        return  # the node went away: the log ends here
    finally:
        response.close()
        await session.close()


def _refused(status: int, text: str, name: str) -> StatusError:
    if status == 400:
        return errors.bad_request(text)
    if status == 500:
        return errors.internal_error(text)
    said = {404: "the server could not find the requested resource"}.get(
        status, "the server has responded with an error"
    )
    return StatusError(
        status,
        "NotFound" if status == 404 else "",
        f"{said} ( pods/log {name})",
        {"name": name, "kind": "pods/log", "causes": [{"reason": "UnexpectedServerResponse", "message": text}]},
    )
