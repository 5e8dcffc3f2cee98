"""Every answer of the simulator is one that Twilio's own OpenAPI documents allow."""

from typing import Any

import aiohttp
from tests.conformance.twilio.conftest import NUMBER, PERSON, Furnished
from tests.conformance.twilio.openapi import Documents

from switchboard.providers.twilio.transport import basic_auth

NOT_SERVED = {
    "POST /2010-04-01/Accounts/{Sid}.json",
    "POST /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json",
    "POST /2010-04-01/Accounts/{AccountSid}/Applications.json",
    "DELETE /2010-04-01/Accounts/{AccountSid}/Applications/{Sid}.json",
    "POST /2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json",
    "DELETE /2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json",
    "DELETE /2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Media/{Sid}.json",
    "POST /v1/Services",
    "DELETE /v1/Services/{Sid}",
    "POST /v1/Services/{ServiceSid}/PhoneNumbers",
    "DELETE /v1/Services/{ServiceSid}/PhoneNumbers/{Sid}",
    "POST /v2/Channels/Senders",
}
"""What Switchboard never asks for: the simulator refuses it with 501."""


class Caller:
    """Asks the simulator and holds each answer against the documents."""

    def __init__(self, session: aiohttp.ClientSession, furnished: Furnished) -> None:
        self.documents = Documents()
        self.seen: set[str] = set()
        self._session = session
        self._url = furnished.url

    async def __call__(self, method: str, path: str, **request: Any) -> Any:
        async with self._session.request(method, self._url + path, **request) as answer:
            body = await answer.json() if answer.status != 204 else None
            bare = path.partition("?")[0]
            self.seen.add(self.documents.check(method, bare, answer.status, body).key)
            return body


async def test_every_operation_that_is_served_answers_as_documented(furnished: Furnished) -> None:
    account = furnished.account
    root = f"/2010-04-01/Accounts/{account.sid}"
    number, service, sender = account.numbers[0].sid, account.services[0].sid, account.senders[0].sid
    headers = {"Authorization": basic_auth(account.sid, account.auth_token)}
    async with aiohttp.ClientSession(headers=headers) as session:
        call = Caller(session, furnished)
        await call("GET", f"{root}.json")
        assert (await call("GET", f"{root}/IncomingPhoneNumbers.json?PageSize=1"))["next_page_uri"]
        await call("GET", f"{root}/IncomingPhoneNumbers/{number}.json")
        await call("POST", f"{root}/IncomingPhoneNumbers/{number}.json", data={"SmsUrl": "https://x.example.com/"})
        await call("GET", f"{root}/Applications.json")
        application = f"{root}/Applications/{account.applications[0].sid}.json"
        await call("GET", application)
        await call("POST", application, data={"SmsUrl": "https://x.example.com/"})
        sent = await call("POST", f"{root}/Messages.json", data={"To": PERSON, "From": NUMBER, "Body": "Hi"})
        await furnished.simulator.control.message(sent["sid"], status="delivered")
        await call("GET", f"{root}/Messages.json?PageSize=2")
        await call("GET", f"{root}/Messages/{sent['sid']}.json")
        media = f"{root}/Messages/{furnished.picture}/Media"
        listed = await call("GET", f"{media}.json")
        await call("GET", f"{media}/{listed['media_list'][0]['sid']}.json")
        pool = await call(
            "POST", f"{root}/Messages.json", data={"To": PERSON, "MessagingServiceSid": service, "Body": "a"}
        )
        assert pool["from"] is None
        await call("GET", "/v1/Services")
        await call("GET", f"/v1/Services/{service}")
        await call("POST", f"/v1/Services/{service}", data={"InboundRequestUrl": "https://x.example.com/"})
        listed = await call("GET", f"/v1/Services/{service}/PhoneNumbers")
        await call("GET", f"/v1/Services/{service}/PhoneNumbers/{listed['phone_numbers'][0]['sid']}")
        assert (await call("GET", "/v2/Channels/Senders?Channel=whatsapp&PageSize=1"))["meta"]["next_page_url"]
        webhook = {"webhook": {"callback_url": "https://x.example.com/", "callback_method": "POST"}}
        await call("POST", f"/v2/Channels/Senders/{sender}", json=webhook)
        await call("GET", f"/v2/Channels/Senders/{sender}")
        await call("GET", f"/v2/Channels/Senders/{account.senders[1].sid}")
        await call("DELETE", f"/v2/Channels/Senders/{sender}")
        await call("DELETE", f"{root}/IncomingPhoneNumbers/{number}.json")
    assert call.seen == {operation.key for operation in call.documents.operations()} - NOT_SERVED
    assert len(await furnished.simulator.control.offences()) == 2


async def test_what_is_not_served_says_so_loudly(furnished: Furnished) -> None:
    account = furnished.account
    headers = {"Authorization": basic_auth(account.sid, account.auth_token)}
    async with aiohttp.ClientSession(headers=headers) as session:
        for operation in NOT_SERVED:
            method, _, path = operation.partition(" ")
            path = path.replace("Accounts/{Sid}", f"Accounts/{account.sid}").replace("{AccountSid}", account.sid)
            path = path.replace("{MessageSid}", furnished.inbound).replace("{ServiceSid}", account.services[0].sid)
            async with session.request(method, furnished.url + path.replace("{Sid}", "XX" + "0" * 32)) as answer:
                assert answer.status == 501, operation
                assert "simulator does not serve" in (await answer.json())["message"]
        body = {"To": PERSON, "From": NUMBER, "ContentSid": "HX" + "0" * 32}
        url = f"{furnished.url}/2010-04-01/Accounts/{account.sid}/Messages.json"
        async with session.post(url, data=body) as answer:
            assert answer.status == 501
            assert "ContentSid" in (await answer.json())["message"]
