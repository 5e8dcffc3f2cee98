"""String formats."""

import pytest

from kubesandbox.schema.formats import check

GOOD = {
    "date-time": ["2026-01-01T00:00:00Z", "2026-01-01t00:00:00.123+02:00"],
    "date": ["2024-02-29"],
    "duration": ["1h30m", "-1.5s", "22 ns", "3 days", "0"],
    "email": ["a@example.com", "A B <a@b.example>"],
    "ipv4": ["1.2.3.4", "010.0.0.1"],
    "ipv6": ["::1", "2001:db8::1"],
    "cidr": ["10.0.0.0/8", "::/0"],
    "uri": ["https://a.example/x?y#z", "/absolute/path", "mailto:a@b.example"],
    "uuid": ["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6BA7B8109DAD11D180B400C04FD430C8"],
    "uuid4": ["f47ac10b-58cc-4372-a567-0e02b2c3d479"],
    "byte": ["aGk=", "aGkh"],
    "hostname": ["a.example.com", "host", "1host"],
    "mac": ["01:23:45:67:89:ab", "0123.4567.89ab"],
    "creditcard": ["4220855426222389"],
    "isbn": ["3836221195", "978-4-87311-368-5", "3 401 01319 X"],
    "hexcolor": ["#fff", "CCccCC"],
    "rgbcolor": ["rgb(0,  31, 255)"],
    "ssn": ["111-11-1111"],
    "k8s-short-name": ["a-b"],
    "k8s-long-name": ["a.b-c"],
    "password": [""],
}
BAD = {
    "date-time": ["yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00"],
    "date": ["2023-02-29", "2023-2-1", "20230201"],
    "duration": ["soon", "", "5"],
    "email": ["a", "@b", "a@"],
    "ipv4": ["1.2.3", "::1", "256.0.0.1"],
    "ipv6": ["1.2.3.4", ":::"],
    "cidr": ["10.0.0.0", "10.0.0.0/33", "x/8"],
    "uri": ["", "foobar.com", "./rel", "http://a b/"],
    "uuid": ["6ba7b810", "zba7b810-9dad-11d1-80b4-00c04fd430c8"],
    "uuid4": ["6ba7b810-9dad-11d1-80b4-00c04fd430c8"],
    "byte": ["***", "aGk", ""],
    "hostname": ["", "a..b", "-a", "a_b.com", "a" * 64],
    "mac": ["01:23:45", "g1:23:45:67:89:ab"],
    "creditcard": ["4220855426213389", "foo"],
    "isbn": ["3-8362-2119-4", "foo"],
    "hexcolor": ["#ff"],
    "rgbcolor": ["rgb(1,349,275)", "rgb(01,31,255)"],
    "ssn": ["1111111111"],
    "k8s-short-name": ["A", "-a", "a" * 64],
    "k8s-long-name": ["a..b"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in GOOD.items() for text in texts])
def test_it_is_taken(name: str, text: str) -> None:
    known = check(name)
    assert known is not None
    assert known(text)


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_it_is_refused(name: str, text: str) -> None:
    known = check(name)
    assert known is not None
    assert not known(text)


def test_an_unknown_format_is_not_checked() -> None:
    assert check("postcode") is None
