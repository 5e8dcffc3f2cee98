"""Files are fetched within bounds, and credentials go to Twilio alone."""

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from tests.unit.providers.conftest import NUMBER, PERSON, Line

from switchboard.providers.base import Media
from switchboard.providers.errors import MediaRefusedError, NotFoundError, ProviderError
from switchboard.providers.twilio.api import TwilioConnections
from switchboard.providers.twilio.client import TwilioClient
from switchboard.providers.twilio.credentials import Credentials
from switchboard.providers.twilio.transport import AiohttpTransport, is_twilio
from switchboard.sandbox.twilio.control_models import FaultSpec, MediaSpec


@pytest.fixture
async def picture(line: Line) -> Media:
    text = await line.control.text(PERSON, NUMBER, media=[MediaSpec(content_type="image/png", content="aGVsbG8=")])
    listed = await line.client.list_media(text.message_sid)
    assert len(listed) == 1
    return listed[0]


async def test_a_picture_is_fetched_and_the_credentials_stay_with_twilio(line: Line, picture: Media) -> None:
    content = await line.client.download(picture, max_bytes=5, types=["image/*"])
    assert (content.content, content.content_type) == (b"hello", "image/png")
    assert await line.control.offences() == []


async def test_a_picture_that_is_named_at_twilio_is_fetched_through_the_gateway(line: Line, picture: Media) -> None:
    path = picture.url.removeprefix(line.simulator.url)
    content = await line.client.download(Media("https://api.twilio.com" + path, "image/png"), max_bytes=100)
    assert content.content == b"hello"


async def test_what_is_too_large_or_of_another_type_is_refused(line: Line, picture: Media) -> None:
    with pytest.raises(MediaRefusedError, match="larger than 4 bytes"):
        await line.client.download(picture, max_bytes=4)
    with pytest.raises(MediaRefusedError, match="type 'image/png' is not allowed"):
        await line.client.download(picture, max_bytes=100, types=["audio/*"])
    lies = Media(picture.url, "audio/ogg")
    with pytest.raises(MediaRefusedError, match="type 'image/png' is not allowed"):
        await line.client.download(lies, max_bytes=100, types=["audio/*"])


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "https://twilio.com.evil.example/x", "file:///etc/x"])
async def test_credentials_are_taken_nowhere_but_to_twilio(line: Line, url: str) -> None:
    with pytest.raises(MediaRefusedError, match="nowhere else"):
        await line.client.download(Media(url, "image/png"), max_bytes=100)


@pytest.mark.parametrize(
    "place",
    [
        "http://media.example.com/x",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "https://kubernetes/api",
        "https://kubernetes.default.svc/api",
        "https://kubernetes.default.svc.cluster.local./api",
        "https://metadata.google.internal/x",
        "https://[x/y",
    ],
)
async def test_a_redirect_leads_nowhere_inside(place: str) -> None:
    async def elsewhere(_: web.BaseRequest) -> web.Response:
        return web.Response(status=307, headers={"Location": place})

    gateway = RawTestServer(elsewhere)
    await gateway.start_server()
    url = str(gateway.make_url("")).rstrip("/")
    async with TwilioConnections(timeout=5) as connections:
        client = TwilioClient(connections, Credentials("AC" + "a" * 32, "token"), base_url=url)
        with pytest.raises(MediaRefusedError):
            await client.download(Media(f"{url}/picture", "image/png"), max_bytes=100)
    await gateway.close()


async def test_an_address_that_is_no_url_is_refused(line: Line) -> None:
    with pytest.raises(MediaRefusedError, match="no URL"):
        await line.client.download(Media("https://[x", "image/png"), max_bytes=100)


async def test_a_picture_that_is_gone_or_cannot_be_had_is_told(line: Line, picture: Media) -> None:
    with pytest.raises(NotFoundError):
        await line.client.download(Media(picture.url[:-4] + "0000", "image/png"), max_bytes=100)
    await line.control.fault(FaultSpec(status=500))
    with pytest.raises(ProviderError):
        await line.client.download(picture, max_bytes=100)


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("https://api.twilio.com/x", True),
        ("https://messaging.dublin.ie1.twilio.com/x", True),
        ("http://api.twilio.com/x", False),
        ("https://twilio.com.evil.example", False),
        ("https://eviltwilio.com", False),
        ("https://api.twilio.com@evil.example/", False),
    ],
)
def test_a_host_is_twilio_s_or_not(url: str, verdict: bool) -> None:
    assert is_twilio(url) is verdict


async def test_the_transport_sends_credentials_to_twilio_alone(line: Line) -> None:
    transport = AiohttpTransport(line.connections.session)
    with pytest.raises(ProviderError, match="nowhere else"):
        await transport.request("GET", line.simulator.url + "/x", auth=("a", "b"))
    assert await line.control.requests() == []
