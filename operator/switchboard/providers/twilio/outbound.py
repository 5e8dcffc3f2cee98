"""From an answer to what Twilio takes: parts within the channel's limit, and a request's form."""

import unicodedata

from switchboard.providers.base import OutboundMessage
from switchboard.providers.twilio.inbound import format_address

MAX_BODY = 1600
"""Characters of one message, on SMS and WhatsApp; more is error 21617."""

_JOINER = "\u200d"


def message_form(message: OutboundMessage) -> dict[str, object]:
    """The form of `POST …/Messages.json`. Raises ValueError without a sender, a recipient, or anything to send."""
    if not message.recipient or not (message.sender or message.service):
        raise ValueError("a message needs a recipient, and a sender or a messaging service")
    if not message.body and not message.media_urls:
        raise ValueError("a message needs a body or media")
    form: dict[str, object] = {"To": format_address(message.channel, message.recipient)}
    if message.sender:
        form["From"] = format_address(message.channel, message.sender)
    if message.service:
        form["MessagingServiceSid"] = message.service
    if message.body:
        form["Body"] = message.body
    if message.media_urls:
        form["MediaUrl"] = list(message.media_urls)
    if message.status_callback:
        form["StatusCallback"] = message.status_callback
    return form


def units(text: str) -> int:
    """The length that counts: UTF-16 units, as the networks do, so that an emoji outside the first plane is two."""
    return len(text) + sum(1 for character in text if character > "\uffff") if not text.isascii() else len(text)


def split_text(text: str, *, limit: int = MAX_BODY, max_parts: int = 10, note: str = "…") -> list[str]:
    """`text` in parts of at most `limit` UTF-16 units, in order, cut between words.

    A word that is longer than a part is cut inside, yet not inside what is seen as one character. What does not fit
    into `max_parts` is left out, and the last part ends with `note`. Only white space at cuts is lost. An empty or
    blank text gives no part. Raises ValueError if a bound is too small to hold the note and a character.
    """
    if max_parts < 1 or limit < units(note) + 16:
        raise ValueError("limit and max_parts: leave no room for a text")
    parts: list[str] = []
    rest = text.strip()
    while rest:
        if units(rest) <= limit:
            parts.append(rest)
            return parts
        if len(parts) == max_parts - 1:
            end = _cut(rest, limit - units(note))
            parts.append(rest[:end].rstrip() + note)
            return parts
        end = _cut(rest, limit)
        parts.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return parts


def _cut(text: str, limit: int) -> int:
    """Where to cut `text`, which is longer than `limit` units: after at least one and at most `limit` units."""
    end = _index(text, limit)
    if text[end].isspace():
        return end
    for index in range(end - 1, end // 2, -1):  # a part that is less than half full is worse than a cut word
        if text[index].isspace():
            return index
    index = end
    while index > max(1, end - 16) and not _may_cut(text, index):
        index -= 1
    return index if _may_cut(text, index) else end


def _index(text: str, limit: int) -> int:
    """How many characters of `text` are at most `limit` units."""
    if text.isascii():
        return limit
    used = 0
    for index, character in enumerate(text):
        used += 2 if character > "\uffff" else 1
        if used > limit:
            return index
    return len(text)


def _may_cut(text: str, index: int) -> bool:
    """Whether what is seen as one character is not cut before `index`: joined emoji, marks, skin tones, flags."""
    before, after = text[index - 1], text[index]
    if _JOINER in {before, after} or _extends(after):
        return False
    if _flag(before) and _flag(after):
        run = 0
        while run < index and _flag(text[index - 1 - run]):
            run += 1
        return run % 2 == 0
    return True


def _extends(character: str) -> bool:
    return (
        unicodedata.combining(character) != 0
        or "\ufe00" <= character <= "\ufe0f"
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
    )


def _flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
