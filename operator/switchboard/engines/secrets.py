"""Secrets as files: read again when they have changed, so that keys rotate without a restart."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from switchboard.engines.base import EngineMisconfigured

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110, section 5.6.2."""
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""Control characters that a header's value must not have (RFC 9110, section 5.5)."""


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One mounted key. `field` is the manifest's field that names it: errors point there and never show the value."""

    path: Path
    field: str

    def read(self) -> str:
        """Its text without surrounding white space: files made with `echo` end in a newline.

        Raises:
            EngineMisconfigured: it is missing, empty or no UTF-8.
        """
        try:
            value = self.path.read_bytes().decode().strip()
        except FileNotFoundError:
            raise EngineMisconfigured(
                "SecretMissing",
                f"{self.field}: the Secret or its key does not exist; create it, or correct the reference",
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise EngineMisconfigured(
                "SecretUnreadable", f"{self.field}: the Secret's value cannot be read as text ({type(error).__name__})"
            ) from None
        if not value:
            raise EngineMisconfigured("SecretEmpty", f"{self.field}: the Secret's value is empty")
        return value

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever the file's content was replaced; None while there is no file.

        A mounted Secret is a symbolic link into a directory that kubelet replaces as a whole, so that inode and time
        change together with the content.
        """
        return _stamp(self.path)


@dataclass(frozen=True, slots=True)
class HeaderFiles:
    """A directory of mounted keys, each of which is a header of that name."""

    path: Path
    field: str

    def read(self) -> dict[str, str]:
        """The headers by name.

        Raises:
            EngineMisconfigured: the Secret is missing, or a key or value cannot be a header.
        """
        headers: dict[str, str] = {}
        for file in self._files():
            name = file.name
            if not _HEADER_NAME.fullmatch(name):
                raise EngineMisconfigured("HeaderInvalid", f"{self.field}: the Secret's key {name!r} is no header name")
            value = SecretFile(file, f"{self.field} (key {name})").read()
            if _FORBIDDEN.search(value):
                raise EngineMisconfigured(
                    "HeaderInvalid", f"{self.field}: the value of key {name} has a line break or control character"
                )
            headers[name] = value
        if not headers:
            raise EngineMisconfigured(
                "SecretMissing",
                f"{self.field}: the Secret does not exist or has no keys; create it, or correct the reference",
            )
        return headers

    def stamp(self) -> tuple[tuple[str, tuple[int, int, int] | None], ...]:
        """Changes whenever a header came, went or was replaced."""
        return tuple((file.name, _stamp(file)) for file in self._files())

    def _files(self) -> list[Path]:
        try:
            # kubelet keeps its generations beside the keys, in `..data` and `..2026_…`.
            return sorted(file for file in self.path.iterdir() if not file.name.startswith(".."))
        except (FileNotFoundError, NotADirectoryError):
            return []


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
