"""Signatures of https://www.standardwebhooks.com, against the specification's own example."""

from __future__ import annotations

from switchboard.engines.endpoint import signing, transport


def test_the_specification_s_example_is_signed_as_it_says() -> None:
    key = signing.key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "x")
    signed = signing.headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_wait_is_told_in_seconds_or_as_a_date() -> None:
    assert transport.retry_after("7") == 7.0
    assert transport.retry_after("Fri, 31 Dec 1999 23:59:59 GMT") == 0.0
    later = transport.retry_after("Fri, 31 Dec 2999 23:59:59 GMT")
    assert later is not None
    assert later > 1e9
    assert transport.retry_after("soon") is None
    assert transport.retry_after(None) is None
