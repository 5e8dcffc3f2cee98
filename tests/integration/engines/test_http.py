"""`engine.endpoint` with protocol HTTP against a real server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

import pytest
from tests.integration.engines.conftest import Make, Secrets, Server, Start
from tests.unit.engines.turns import NOW, said, turn

from switchboard.api.engine import Engine as Spec
from switchboard.engines import EngineMisconfigured, EngineRefused, EngineUnavailable, Media, Said

SECRET = base64.b64encode(b"a key of at least sixteen bytes").decode()


def endpoint(server: Server, path: str = "/agent", **fields: Any) -> Spec:
    return Spec.model_validate({"endpoint": {"url": server.url + path, "protocol": "HTTP"} | fields})


SIGNED = {"signingSecret": {"secretRef": {"name": "agent", "key": "key"}}}
HEADERS = {"headersSecretRef": {"name": "agent"}}


async def test_the_contract_is_posted_and_the_reply_answers(start: Start, make: Make) -> None:
    server = await start("http_stub")
    media = [Media("image/png", "https://x/1", b"\x89PNG"), Media("video/mp4", "https://x/2", None)]
    asked_turn = turn(
        messages=[Said(by_contact=True, text="hi", time=NOW, media=media)],
        history=[said("earlier"), said("an answer", by_contact=False)],
        contact_name="Ann",
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )
    answer = await make(endpoint(server)).answer(asked_turn)
    assert answer.text == "you said hi"
    assert (answer.usage.requests, answer.usage.input_tokens) == (1, 3)
    assert [(step.kind, step.name, step.result) for step in answer.steps] == [
        ("EndpointRequest", f"POST {server.url}/agent", "200")
    ]
    (asked,) = await server.requests()
    assert asked["json"] == {
        "version": "v1",
        "execution": "exe-1",
        "attempt": 1,
        "agent": "support",
        "revision": "support-v1",
        "time": "2026-11-22T12:00:00Z",
        "conversation": {"id": "conv-1", "connector": "production-sms", "channel": "SMS"},
        "contact": {"number": "+15005550006", "name": "Ann"},
        "messages": [
            {
                "role": "contact",
                "text": "hi",
                "time": "2026-11-22T12:00:00Z",
                "media": [
                    {"contentType": "image/png", "url": "https://x/1", "data": "iVBORw=="},
                    {"contentType": "video/mp4", "url": "https://x/2"},
                ],
            }
        ],
        "history": [
            {"role": "contact", "text": "earlier", "time": "2026-11-22T12:00:00Z", "media": []},
            {"role": "agent", "text": "an answer", "time": "2026-11-22T12:00:00Z", "media": []},
        ],
    }
    assert asked["headers"]["idempotency-key"] == "exe-1"
    assert asked["headers"]["content-type"] == "application/json"
    assert asked["headers"]["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert "webhook-signature" not in asked["headers"]


async def test_a_signed_request_proves_who_sent_it_and_when(start: Start, make: Make, secrets: Secrets) -> None:
    server = await start("http_stub")
    secrets("engine/signing-secret", f"whsec_{SECRET}\n")
    await make(endpoint(server, **SIGNED)).answer(turn("hi"))
    (asked,) = await server.requests()
    headers = asked["headers"]
    assert headers["webhook-id"] == "exe-1"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    signed = f"exe-1.{headers['webhook-timestamp']}.{asked['raw']}".encode()
    expected = hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()


async def test_headers_come_from_the_secret_and_change_with_it(start: Start, make: Make, secrets: Secrets) -> None:
    server = await start("http_stub")
    secrets("engine/headers/Authorization", "Bearer one\n")
    made = make(endpoint(server, **HEADERS))
    await made.answer(turn("a"))
    secrets("engine/headers/Authorization", "Bearer two\n")
    await made.answer(turn("b"))
    assert [asked["headers"]["authorization"] for asked in await server.requests()] == ["Bearer one", "Bearer two"]


async def test_what_an_endpoint_says_that_it_spent_is_kept_as_large_as_a_record_takes(start: Start, make: Make) -> None:
    server = await start("http_stub")
    await server.plan({"status": 200, "body": {"reply": "hi", "usage": {"inputTokens": 10**30, "outputTokens": 1}}})
    answer = await make(endpoint(server)).answer(turn())
    assert (answer.text, answer.usage.input_tokens, answer.usage.output_tokens) == ("hi", 2**53 - 1, 1)


@pytest.mark.parametrize("url", ["http://[::::]:80", "http://agent:99999"])
async def test_what_is_no_url_is_said_by_the_check(make: Make, url: str) -> None:
    with pytest.raises(EngineMisconfigured) as raised:
        await make(endpoint(Server(url))).check()
    assert "endpoint.url" in str(raised.value)


@pytest.mark.parametrize(
    ("planned", "error", "kind", "says"),
    [
        ({"status": 429, "headers": {"Retry-After": "9"}}, EngineUnavailable, "RateLimited", "answered 429"),
        ({"status": 503, "body": "later"}, EngineUnavailable, "EndpointUnavailable", "answered 503: later"),
        ({"status": 500}, EngineUnavailable, "EndpointUnavailable", "answered 500"),
        ({"status": 409}, EngineUnavailable, "EndpointUnavailable", "answered 409"),
        ({"status": 422, "body": "no"}, EngineRefused, "EndpointRefused", "answered 422: no"),
        ({"status": 401, "body": "token-123456"}, EngineMisconfigured, "EndpointUnauthorized", "headersSecretRef"),
        ({"status": 404}, EngineMisconfigured, "EndpointNotFound", "check spec.template.engine.endpoint.url"),
        (
            {"status": 307, "headers": {"Location": "/elsewhere"}},
            EngineMisconfigured,
            "EndpointRedirected",
            "not followed",
        ),
        ({"status": 200, "body": "hello"}, EngineRefused, "EndpointAnswerInvalid", "not JSON"),
        ({"status": 200, "body": {"answer": "hello"}}, EngineRefused, "EndpointAnswerInvalid", "reply: Field required"),
        ({"status": 200, "body": {"reply": 7}}, EngineRefused, "EndpointAnswerInvalid", "reply: Input should be"),
        ({"status": 200, "body": "[" * 100_000}, EngineRefused, "EndpointAnswerInvalid", "not JSON"),
        ({"endless": True}, EngineRefused, "EndpointAnswerTooLarge", "more than 1048576 bytes"),
    ],
)
async def test_failures_say_who_must_act_and_no_secret(
    start: Start, make: Make, secrets: Secrets, planned: dict[str, Any], error: type[Exception], kind: str, says: str
) -> None:
    server = await start("http_stub")
    secrets("engine/headers/Authorization", "Bearer token-123456")
    await server.plan(planned)
    with pytest.raises(error) as raised:
        await make(endpoint(server, **HEADERS)).answer(turn("a"))
    assert raised.value.kind == kind  # type: ignore[attr-defined]
    assert says in str(raised.value)
    assert "token-123456" not in str(raised.value) + str(raised.value.steps)  # type: ignore[attr-defined]
    assert len(await server.requests()) == 1
    if planned.get("status") == 429:
        assert raised.value.retry_after == 9.0  # type: ignore[attr-defined]


async def test_an_error_that_repeats_a_secret_is_told_without_it(start: Start, make: Make, secrets: Secrets) -> None:
    server = await start("http_stub")
    secrets("engine/headers/Authorization", "Bearer token-123456")
    await server.plan({"status": 400, "body": "what is token-123456?"})
    with pytest.raises(EngineRefused, match="what is •••"):
        await make(endpoint(server, **HEADERS)).answer(turn("a"))


async def test_no_content_means_no_reply(start: Start, make: Make) -> None:
    server = await start("http_stub")
    await server.plan({"status": 204})
    assert (await make(endpoint(server)).answer(turn("a"))).text == ""


async def test_an_endpoint_that_is_not_there_is_unavailable(make: Make) -> None:
    with pytest.raises(EngineUnavailable) as raised:
        await make(endpoint(Server("http://127.0.0.1:1"))).answer(turn("a"))
    assert raised.value.kind == "EndpointUnreachable"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("engine/signing-secret", "whsec_%%%", "signingSecret: what follows whsec_ is not base64"),
        ("engine/signing-secret", "short", "signingSecret: the secret has 5 bytes and needs 16"),
        ("engine/headers/Host", "x", "headersSecretRef: Host is set by Switchboard"),
        ("engine/headers/webhook-id", "x", "headersSecretRef: webhook-id is set by Switchboard"),
        ("engine/headers/a b", "x", "'a b' is no header name"),
        ("engine/headers/X-Two", "one\r\nX-Three: two", "the value of key X-Two has a line break"),
        ("engine/headers/X-Empty", "", "(key X-Empty): the Secret's value is empty"),
    ],
)
async def test_secrets_that_cannot_work_are_found_by_the_check(
    make: Make, secrets: Secrets, path: str, value: str, says: str
) -> None:
    secrets(path, value)
    fields = SIGNED if "signing" in path else HEADERS
    with pytest.raises(EngineMisconfigured) as raised:
        await make(endpoint(Server("http://127.0.0.1:1"), **fields)).check()
    assert says in str(raised.value)


@pytest.mark.parametrize("fields", [SIGNED, HEADERS], ids=["signingSecret", "headersSecretRef"])
async def test_secrets_that_are_missing_are_found_by_the_check(make: Make, fields: dict[str, Any]) -> None:
    with pytest.raises(EngineMisconfigured) as raised:
        await make(endpoint(Server("http://127.0.0.1:1"), **fields)).check()
    assert next(iter(fields)) in str(raised.value)
    assert raised.value.kind == "SecretMissing"
