"""What verifying and parsing a webhook costs, against the SDK's validator and the standard library, side by side.

`python -m tests.bench.signature`; with `--cases N` also how many generated cases get the same verdict from both.
"""

import argparse
import hashlib
import random
import statistics
import sys
import timeit
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

from multidict import MultiDict
from twilio.request_validator import RequestValidator

from switchboard.providers.twilio.form import parse_form
from switchboard.providers.twilio.inbound import parse_message
from switchboard.providers.twilio.signature import SignatureCheck, SignedURL, sign

URL = "https://hooks.example.com/twilio/acme/production-sms"
TOKEN = hashlib.md5(b"token", usedforsecurity=False).hexdigest()
METADATA = '{"type":"whatsapp","data":{"context":{"ProfileName":"Ada Lovelace","WaId":"15551230001"}}}'
PARAMETERS = {
    "SmsMessageSid": "SM" + "a" * 32,
    "NumMedia": "0",
    "ProfileName": "Ada Lovelace",
    "MessageType": "text",
    "SmsSid": "SM" + "a" * 32,
    "WaId": "15551230001",
    "SmsStatus": "received",
    "Body": "Hello, what are your opening hours on Saturday?",
    "To": "whatsapp:+15551230002",
    "NumSegments": "1",
    "ReferralNumMedia": "0",
    "MessageSid": "SM" + "a" * 32,
    "AccountSid": "AC" + "b" * 32,
    "ChannelMetadata": METADATA,
    "From": "whatsapp:+15551230001",
    "ApiVersion": "2010-04-01",
    "Forwarded": "false",
    "Latitude": "",
    "Longitude": "",
    "Label": "",
}
"""A WhatsApp message of 20 parameters."""
ROUNDS, CALLS = 9, 3000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="generated cases whose verdicts are compared")
    arguments = parser.parse_args()
    body = urlencode(PARAMETERS).encode()
    pairs, multi = parse_form(body), MultiDict(PARAMETERS)
    validator, check, url = RequestValidator(TOKEN), SignatureCheck([TOKEN]), SignedURL(URL)
    signature = sign(TOKEN, URL, pairs)
    assert validator.validate(URL, PARAMETERS, signature)
    assert check.form(url, pairs, signature)
    costs = measure(
        {
            "the SDK's validator, given a dict": lambda: validator.validate(URL, PARAMETERS, signature),
            "the SDK's validator, given a multidict": lambda: validator.validate(URL, multi, signature),
            "our check, after the parse": lambda: check.form(url, pairs, signature),
            "parse_qsl": lambda: parse_qsl(body.decode(), keep_blank_values=True),
            "our form parser": lambda: parse_form(body),
            "pairs to InboundMessage": lambda: parse_message(pairs),
            "all of ours: bytes to a verified message": lambda: (
                check.form(url, parsed := parse_form(body), signature) and parse_message(parsed)
            ),
        }
    )
    base = costs["the SDK's validator, given a dict"]
    print(f"{len(PARAMETERS)} parameters, {len(body)} bytes; median of {ROUNDS} interleaved rounds of {CALLS} calls")
    for name, cost in costs.items():
        print(f"  {name:<42} {cost * 1e6:7.2f} µs   {cost / base:5.3f} of the SDK's with a dict")
    ratio = costs["our check, after the parse"] / base
    print(f"signature check / RequestValidator(dict): {ratio:.3f} (goal 0.10, stretch 0.05)")
    print(f"our form parser / parse_qsl: {costs['our form parser'] / costs['parse_qsl']:.2f}")
    differing = compare(arguments.cases)
    print(f"same verdict as the SDK's on {arguments.cases - differing:,} of {arguments.cases:,} generated cases")
    sys.exit(1 if differing else 0)


def measure(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds a call: the median over rounds that take turns, so that a noisy moment strikes all alike."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            taken[name].append(timeit.timeit(call, number=CALLS) / CALLS)
    return {name: statistics.median(times) for name, times in taken.items()}


def compare(cases: int, seed: int = 1) -> int:
    """How many of `cases` generated requests get another verdict from us than from the SDK."""
    rng, differing, valid = random.Random(seed), 0, 0
    letters = "aB0+ =&%:/äß👋\n\x00"
    for _ in range(cases):
        host = rng.choice(["hooks.example.com", "HOOKS.example.com", "10.0.0.1"])
        port, path = rng.choice(["", ":443", ":80", ":8443"]), rng.choice(["", "/", "/twilio/a/b", "/ä?b=2&a=1", "/?"])
        url = f"{rng.choice(['https', 'http'])}://{host}{port}{path}"
        pairs = [
            ("".join(rng.choices(letters, k=rng.randrange(4))), "".join(rng.choices(letters, k=rng.randrange(8))))
            for _ in range(rng.randrange(12))
        ]
        signed = rng.choice(SignedURL(url).forms).decode() if rng.random() < 0.7 else url
        token = TOKEN if rng.random() < 0.8 else TOKEN[::-1]
        signature = sign(token, signed, pairs if rng.random() < 0.8 else pairs[1:])
        ours = SignatureCheck([TOKEN]).form(SignedURL(url), pairs, signature)
        theirs = RequestValidator(TOKEN).validate(url, MultiDict(pairs), signature)
        differing += ours is not theirs
        valid += theirs
    if not cases // 10 < valid < cases - cases // 10:
        raise AssertionError(f"{valid} of {cases} cases are valid: the comparison would say nothing")
    return differing


if __name__ == "__main__":
    main()
