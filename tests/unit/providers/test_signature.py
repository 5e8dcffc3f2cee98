"""The signature check gives the SDK's verdicts, and raises on nothing."""

import hashlib
from urllib.parse import urlencode

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from switchboard.providers.twilio.form import parse_form
from switchboard.providers.twilio.signature import SignatureCheck, SignedURL, sign

VECTOR_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
VECTOR = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
VECTOR_SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
keys = st.one_of(st.sampled_from(["From", "To", "Body", "MediaUrl0", "A", "a"]), texts)
pairs_of = st.lists(st.tuples(keys, st.one_of(st.just(""), texts)), max_size=25)
tokens = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=80)
hosts = st.sampled_from(["hooks.example.com", "HOOKS.Example.com", "localhost", "10.0.0.1", "xn--bcher-kva.example"])
ports = st.sampled_from(["", ":80", ":443", ":8443", ":65535"])
paths = st.sampled_from(["", "/", "/twilio/acme/production-sms", "/a%20b", "/ä", "//x", "/status/7;v=1"])
queries = st.sampled_from(["", "?", "?foo=1&bar=2", "?b=2&a=1", "?a=&a=1", "?bodySHA256=00"])
urls = st.builds("{}://{}{}{}{}".format, st.sampled_from(["https", "http", "HTTPS"]), hosts, ports, paths, queries)


def verdicts(token: str, url: str, pairs: list[tuple[str, str]], signature: str) -> tuple[bool, bool]:
    """Ours and the SDK's."""
    ours = SignatureCheck([token]).form(SignedURL(url), pairs, signature)
    return ours, RequestValidator(token).validate(url, MultiDict(pairs), signature)


def test_the_documented_vector_is_valid_and_any_change_to_it_is_not() -> None:
    check = SignatureCheck(["12345"])
    assert check.form(SignedURL(VECTOR_URL), VECTOR, VECTOR_SIGNATURE)
    assert sign("12345", VECTOR_URL, VECTOR) == VECTOR_SIGNATURE
    assert not check.form(SignedURL(VECTOR_URL), VECTOR[:-1], VECTOR_SIGNATURE)
    assert not check.form(SignedURL(VECTOR_URL.replace("foo=1&bar=2", "bar=2&foo=1")), VECTOR, VECTOR_SIGNATURE)
    assert not SignatureCheck(["12346"]).form(SignedURL(VECTOR_URL), VECTOR, VECTOR_SIGNATURE)
    assert not check.form(SignedURL(VECTOR_URL), VECTOR, VECTOR_SIGNATURE.lower())


@settings(max_examples=400)
@given(token=tokens, url=urls, pairs=pairs_of)
@example(token="12345", url=VECTOR_URL, pairs=VECTOR)
@example(token="t", url="https://h/", pairs=[("a", "2"), ("b", ""), ("a", "1"), ("a", "2")])
def test_what_is_signed_is_valid_for_both(token: str, url: str, pairs: list[tuple[str, str]]) -> None:
    for form in SignedURL(url).forms:
        signature = RequestValidator(token).compute_signature(form.decode(), MultiDict(pairs))
        assert verdicts(token, url, pairs, signature) == (True, True)


@settings(max_examples=400)
@given(token=tokens, url=urls, pairs=pairs_of, other=st.data())
def test_what_is_signed_otherwise_gets_the_same_verdict_from_both(
    token: str, url: str, pairs: list[tuple[str, str]], other: st.DataObject
) -> None:
    signed_with = other.draw(st.sampled_from([token, token + "x"]))
    signed_url_ = other.draw(st.one_of(st.just(url), urls))
    signed_pairs = other.draw(st.one_of(st.just(pairs), st.permutations(pairs), pairs_of))
    signature = sign(signed_with, signed_url_, signed_pairs)
    ours, theirs = verdicts(token, url, pairs, signature)
    assert ours is theirs


@settings(max_examples=200)
@given(token=tokens, url=urls, pairs=pairs_of)
def test_a_dict_s_verdict_is_the_same_after_the_wire(token: str, url: str, pairs: list[tuple[str, str]]) -> None:
    parameters = dict(pairs)
    signature = RequestValidator(token).compute_signature(SignedURL(url).forms[0].decode(), parameters)
    parsed = parse_form(urlencode(parameters).encode())
    assert SignatureCheck([token]).form(SignedURL(url), parsed, signature)
    assert RequestValidator(token).validate(url, parameters, signature)


@settings(max_examples=200)
@given(token=tokens, body=st.text(st.characters(exclude_categories=("Cs",)), max_size=200), wrong=st.booleans())
def test_a_json_body_gets_the_same_verdict_from_both(token: str, body: str, wrong: bool) -> None:
    digest = hashlib.sha256(("x" if wrong else "").encode() + body.encode()).hexdigest()
    url = f"https://hooks.example.com/json?a=1&bodySHA256={digest}"
    signature = RequestValidator(token).compute_signature(url, {})
    ours = SignatureCheck([token]).json(url, body.encode(), signature)
    assert ours is RequestValidator(token).validate(url, body, signature)
    assert ours is not wrong


def test_a_json_body_without_its_hash_is_refused_where_the_sdk_raises() -> None:
    url = "https://hooks.example.com/json"
    signature = sign("token", url, [])
    with pytest.raises(TypeError):
        RequestValidator("token").validate(url, '{"a": 1}', signature)
    assert not SignatureCheck(["token"]).json(url, b'{"a": 1}', signature)


@given(
    url=st.one_of(urls, texts),
    body=st.binary(max_size=100),
    signature=st.one_of(st.none(), st.text(max_size=40)),
    settings_header=st.one_of(st.just(""), st.text(max_size=40), st.just("algorithm=HMAC_SHA256")),
    pairs=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5),
)
@example(url=VECTOR_URL, body=b"", signature=None, settings_header="", pairs=[])
@example(url="https://[::1", body=b"", signature="\ud800", settings_header="algorithm=", pairs=[("\ud800", "")])
def test_nothing_hostile_raises_or_passes(
    url: str, body: bytes, signature: str | None, settings_header: str, pairs: list[tuple[str, str]]
) -> None:
    check = SignatureCheck(["token"])
    assert not check.form(SignedURL(VECTOR_URL), pairs, signature, settings_header)
    assert not check.json(url, body, signature, settings_header)


def test_during_a_rotation_both_tokens_are_taken_and_no_third() -> None:
    check = SignatureCheck(["new", "old"])
    url = SignedURL(VECTOR_URL)
    for token, verdict in (("new", True), ("old", True), ("older", False)):
        assert check.form(url, VECTOR, sign(token, VECTOR_URL, VECTOR)) is verdict


@pytest.mark.parametrize("tokens_", [[], [""], ["", ""]])
def test_a_check_without_a_token_cannot_be_made(tokens_: list[str]) -> None:
    with pytest.raises(ValueError, match="auth token"):
        SignatureCheck(tokens_)


@pytest.mark.parametrize(
    ("header", "algorithm"),
    [
        ("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", "HMAC_SHA256"),
        ("algorithm=hmac_sha256", "HMAC_SHA256"),
        ("key=1", "HMAC_SHA1"),
        ("algorithm=", "HMAC_SHA1"),
    ],
)
def test_the_settings_header_names_the_algorithm(header: str, algorithm: str) -> None:
    signature = RequestValidator("secret").compute_signature(VECTOR_URL, dict(VECTOR), algorithm)
    assert SignatureCheck(["secret"]).form(SignedURL(VECTOR_URL), VECTOR, signature, header)
    other = RequestValidator("secret").compute_signature(
        VECTOR_URL, dict(VECTOR), "HMAC_SHA1" if algorithm == "HMAC_SHA256" else "HMAC_SHA256"
    )
    assert not SignatureCheck(["secret"]).form(SignedURL(VECTOR_URL), VECTOR, other, header)


def test_an_algorithm_that_is_not_known_is_refused() -> None:
    assert not SignatureCheck(["12345"]).form(SignedURL(VECTOR_URL), VECTOR, VECTOR_SIGNATURE, "algorithm=HMAC_MD5")


def test_the_connection_overrides_are_not_part_of_what_is_signed() -> None:
    url = "https://hooks.example.com/a?x=1"
    signature = sign("token", url, VECTOR)
    assert SignatureCheck(["token"]).form(SignedURL(url + "#ct=2000&rt=3000&rc=5&rp=ct,rt,5xx"), VECTOR, signature)


@pytest.mark.parametrize("url", ["https://user:pass@h.example:8443/x", "https://[::1]:8443/x"])
def test_user_information_and_ipv6_hosts_are_signed_as_they_stand_where_the_sdk_mangles_them(url: str) -> None:
    check = SignatureCheck(["token"])
    assert check.form(SignedURL(url), VECTOR, sign("token", url, VECTOR))
    assert check.form(SignedURL(url), VECTOR, sign("token", url.replace(":8443", ""), VECTOR))


@pytest.mark.parametrize("url", ["", "/path", "ftp://h/x", "https://", "https://h:99999/", "https://h:x/"])
def test_what_is_no_web_address_cannot_be_signed(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the standard library's own words for a port
        SignedURL(url)


@given(token=tokens)
def test_a_long_token_is_hashed_first_as_hmac_has_it(token: str) -> None:
    assume(token)
    long = token * 70
    assert sign(long, VECTOR_URL, VECTOR) == RequestValidator(long).compute_signature(VECTOR_URL, dict(VECTOR))
