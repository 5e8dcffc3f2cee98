"""The official package works on the simulator unchanged: its synchronous client as it is, and over our transport."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from tests.conformance.twilio.conftest import NUMBER, OTHER, PERSON, Furnished
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client
from twilio.rest.messaging.v2.channels_sender import ChannelsSenderList

from switchboard.providers.twilio.transport import AiohttpTransport

HOOK = "https://hooks.example.com/twilio/acme/sms#ct=2000&rt=3000&rc=5&rp=ct,rt,5xx"


@pytest.fixture
def sync(furnished: Furnished) -> Iterator[Client]:
    client = Client(furnished.account.sid, furnished.account.auth_token)
    client.api.base_url = client.messaging.base_url = furnished.url
    yield client
    client.http_client.session.close()


@pytest.fixture
async def client(furnished: Furnished) -> AsyncIterator[Client]:
    """The package's own client, asynchronous, its hosts left as they are: the transport takes them all elsewhere."""
    async with aiohttp.ClientSession() as session:
        transport = AiohttpTransport(session, base_url=furnished.url)
        yield Client(furnished.account.sid, furnished.account.auth_token, http_client=transport)


def sender_update(**webhook: str) -> object:
    update = ChannelsSenderList.MessagingV2ChannelsSenderRequestsUpdate
    return update({"webhook": ChannelsSenderList.MessagingV2ChannelsSenderWebhook(webhook)})


async def test_the_synchronous_client_does_all_that_we_ask_of_twilio(sync: Client, furnished: Furnished) -> None:
    def everything() -> None:
        account = sync.api.accounts(furnished.account.sid).fetch()
        assert (account.status, account.type) == ("active", "Full")
        assert {number.phone_number for number in sync.incoming_phone_numbers.stream(page_size=1)} == {NUMBER, OTHER}
        number = sync.incoming_phone_numbers.list(phone_number=NUMBER)[0]
        assert number.update(sms_url=HOOK, sms_method="POST").sms_url == HOOK
        assert number.update(sms_url="").sms_url == ""
        assert [app.friendly_name for app in sync.applications.list()] == ["app"]
        service = sync.messaging.v1.services.list()[0]
        assert [item.phone_number for item in sync.messaging.v1.services(service.sid).phone_numbers.list()] == [OTHER]
        senders = sync.messaging.v2.channels_senders.list(channel="whatsapp", page_size=1)
        assert {sender.sender_id for sender in senders} == {f"whatsapp:{NUMBER}", f"whatsapp:{OTHER}"}
        senders[0].update(sender_update(callback_url=HOOK, callback_method="POST"))
        assert senders[0].fetch().webhook["callback_url"] == HOOK
        message = sync.messages.create(to=PERSON, from_=NUMBER, body="Hi 👋")
        assert (message.status, message.direction, message.from_) == ("queued", "outbound-api", NUMBER)
        assert sync.messages(message.sid).fetch().body == "Hi 👋"
        assert [item.body for item in sync.messages.list(to=NUMBER)] == ["Look", "Hello"]
        assert [item.content_type for item in sync.messages(furnished.picture).media.list()] == ["image/png"]

    await asyncio.to_thread(everything)
    assert await furnished.simulator.control.offences() == []


async def test_the_asynchronous_client_over_our_transport_does_all_that_we_ask_of_twilio(
    client: Client, furnished: Furnished
) -> None:
    account = await client.api.accounts(furnished.account.sid).fetch_async()
    assert account.date_created is not None
    numbers = await client.incoming_phone_numbers.list_async(page_size=1)
    assert {number.phone_number for number in numbers} == {NUMBER, OTHER}
    assert (await numbers[0].update_async(sms_url=HOOK)).sms_url == HOOK
    services = await client.messaging.v1.services.list_async(page_size=1)
    assert [service.friendly_name for service in services] == ["pool"]
    senders = await client.messaging.v2.channels_senders.list_async(channel="whatsapp", page_size=1)
    assert len(senders) == 2
    await senders[0].update_async(sender_update(callback_url=HOOK, callback_method="POST"))
    assert (await senders[0].fetch_async()).webhook["callback_url"] == HOOK
    message = await client.messages.create_async(
        to=PERSON, from_=NUMBER, body="Hi", media_url=["https://x.example.com/1", "https://x.example.com/2"]
    )
    assert (await client.messages(message.sid).fetch_async()).num_media == "2"
    assert [item.body for item in await client.messages.list_async(to=NUMBER)] == ["Look", "Hello"]


async def test_region_and_edge_in_the_environment_do_not_lead_astray(
    furnished: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    async with aiohttp.ClientSession() as session:
        transport = AiohttpTransport(session, base_url=furnished.url)
        client = Client(furnished.account.sid, furnished.account.auth_token, http_client=transport)
        assert (await client.api.accounts(furnished.account.sid).fetch_async()).status == "active"


async def test_errors_are_worded_as_the_package_reads_them(sync: Client, furnished: Furnished) -> None:
    def provoke() -> None:
        with pytest.raises(TwilioRestException) as wrong:
            sync.messages.create(to="+1", from_=NUMBER, body="x")
        assert (wrong.value.status, wrong.value.code) == (400, 21211)
        assert wrong.value.msg.endswith("Invalid 'To' Phone Number: +1")
        with pytest.raises(TwilioRestException) as missing:
            sync.incoming_phone_numbers("PN" + "0" * 32).fetch()
        assert (missing.value.status, missing.value.code) == (404, 20404)
        sync.password, sync.auth = "wrong", (sync.username, "wrong")
        with pytest.raises(TwilioRestException) as refused:
            sync.api.accounts(furnished.account.sid).fetch()
        assert (refused.value.status, refused.value.code) == (401, 20003)
        with pytest.raises(TwilioException) as listing:
            sync.incoming_phone_numbers.list()
        assert listing.value.args[1].status_code == 401

    await asyncio.to_thread(provoke)
