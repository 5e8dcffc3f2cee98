"""The form parser gives parse_qsl's pairs, within bounds."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from switchboard.providers.twilio.form import FormError, parse_form

snippets = st.sampled_from(
    [
        b"&", b"=", b"+", b"%", b"%2", b"%2B", b"%2b", b"%3A", b"%3a", b"%2F", b"%25", b"%26", b"%3D", b"%00", b"%zz",
        b"%C3%A4", b"%F0%9F%91%8B", b"%E2%82", b"a", b"B", b"0", b"%22", b"%2C", b"%7B", b";", b" ", b"\n", b"\xc3\xa4",
        b"\xff", b"%252B", b"%%2B41", b"%1E", b"%1F", b"%1", b"\x1e", b"\x1f", b"\r", b"%0D%0A", b"%3d", b"==",
    ]
)  # fmt: skip
bodies = st.one_of(st.binary(max_size=60), st.lists(snippets, max_size=40).map(b"".join))


def standard(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)


@settings(max_examples=1500)
@given(body=bodies)
@example(body=b"")
@example(body=b"a")
@example(body=b"=&==&&a=b=c")
@example(body=b"a=%252B&b=%%2B41&c=%2%2B")
@example(body=b"%2B%3A%2F=%2b%3a%2f")
@example(body="Body=ä".encode())
@example(body=b"a=1%")
@example(body=b"a=1%1Eb%1F2")
@example(body=b"a\x1fb&c=d=e")
@example(body=b"a=1\x1eb=2")
@example(body=b"a=%E2%82&b=%AC")
def test_it_gives_the_standard_library_s_pairs(body: bytes) -> None:
    assert parse_form(body) == standard(body)


@settings(max_examples=300)
@given(pairs=st.lists(st.tuples(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), st.text(max_size=30))))
def test_what_a_client_encodes_comes_back_in_its_order(pairs: list[tuple[str, str]]) -> None:
    clean = [(key, value.encode("utf-8", "replace").decode()) for key, value in pairs]
    assert parse_form(urlencode(clean).encode(), max_body=10**6) == clean


def test_blank_values_and_repeated_names_are_kept() -> None:
    assert parse_form(b"a=&b&a=2") == [("a", ""), ("b", ""), ("a", "2")]


def test_a_body_over_the_bound_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(FormError, match="65537 bytes, and at most 65536"):
        parse_form(b"a" * 65537)


def test_a_thousand_parameters_are_refused() -> None:
    body = b"&".join(b"p%d=1" % index for index in range(1000))
    with pytest.raises(FormError, match="more than 500 parameters"):
        parse_form(body)
    assert len(parse_form(body, max_parameters=1000)) == 1000
