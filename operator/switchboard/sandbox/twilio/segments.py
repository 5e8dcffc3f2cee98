"""How many SMS segments a text takes. Source: https://www.twilio.com/docs/glossary/what-is-gsm-7-character-encoding"""

_GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TWICE = set("^{}\\[~]|€\f")


def segments(body: str) -> int:
    """At least 1. 160 (then 153) septets a segment, or 70 (then 67) UTF-16 units if a character is not in GSM-7."""
    if all(character in _GSM or character in _TWICE for character in body):
        length, one, more = sum(2 if character in _TWICE else 1 for character in body), 160, 153
    else:
        length, one, more = len(body.encode("utf-16-le")) // 2, 70, 67
    return 1 if length <= one else -(-length // more)
