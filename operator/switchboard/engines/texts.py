"""Texts that reach a status or a log: bounded, and without secrets."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from switchboard.api.conversation import COUNT_MAX

MODEL_MAX = 200
"""Characters of a model's name, by its own account."""
RESULT_MAX = 4096
"""Characters of a step's arguments and result."""
ERROR_MAX = 1024
"""Characters of a step's error, and of what is quoted of the other side's words."""
_HIDDEN = "•••"
_SECRET_MIN = 6
"""Shorter values would blank out ordinary words, and are no secrets worth the name."""


def cut(text: str, limit: int) -> str:
    """The text, at most `limit` characters long; what was left out shows as an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def count(told: int) -> int:
    """A number that the other side told, as it can be kept: the API server and our JSON take no larger ones."""
    return min(max(told, 0), COUNT_MAX)


def sayable(text: str, limit: int) -> str:
    """An answer as it can be kept and sent: no control characters, no halves of surrogate pairs, within the limit."""
    plain = "".join(c for c in text if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f"))
    return cut(plain.encode(errors="replace").decode().strip(), limit)


def shown(url: str) -> str:
    """A URL as it may be shown: without user, password, query and fragment, where tokens stand."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Redactor:
    """Blanks out values that were read from Secrets, wherever a text repeats them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        known: set[str] = set()
        for value in values:
            known.add(value)
            known.update(value.split())  # `Bearer <token>` may come back without its scheme.
        # The longest first, so that a part of a value does not break up the whole.
        self._values = sorted((value for value in known if len(value) >= _SECRET_MIN), key=len, reverse=True)

    def clean(self, text: str, limit: int = ERROR_MAX) -> str:
        """The text without those values, without control characters, and within the limit."""
        longest = len(self._values[0]) if self._values else 0
        window = 4 * limit + longest
        whole = len(text) <= window
        text = text[:window]
        for value in self._values:
            text = text.replace(value, _HIDDEN)
        if not whole:
            text = text[: len(text) - longest]  # The window's edge may have cut a value in two.
        return cut("".join(c if c.isprintable() or c in "\n\t" else " " for c in text).strip(), limit)
