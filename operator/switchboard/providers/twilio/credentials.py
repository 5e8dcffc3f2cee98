"""What an account is reached with."""

import re
from dataclasses import dataclass, field

_ACCOUNT = re.compile(r"AC[0-9a-fA-F]{32}")
_API_KEY = re.compile(r"SK[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account and its secrets, which `repr` does not show.

    The auth token verifies webhooks and, without an API key, calls the API. Raises ValueError that names the
    Secret's key.
    """

    account_sid: str
    auth_token: str = field(repr=False)
    previous_auth_token: str = field(default="", repr=False)
    api_key_sid: str = ""
    api_key_secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not _ACCOUNT.fullmatch(self.account_sid):
            raise ValueError("accountSid: must be AC followed by 32 hexadecimal digits; copy it from Twilio's console")
        if not self.auth_token:
            raise ValueError("authToken: is empty; webhooks cannot be verified without the account's auth token")
        if self.api_key_sid and not _API_KEY.fullmatch(self.api_key_sid):
            raise ValueError("apiKeySid: must be SK followed by 32 hexadecimal digits")
        if bool(self.api_key_sid) != bool(self.api_key_secret):
            raise ValueError("apiKeySid, apiKeySecret: give both, or neither")

    @property
    def login(self) -> tuple[str, str]:
        """User and password for the API: the key if there is one."""
        if self.api_key_sid:
            return self.api_key_sid, self.api_key_secret
        return self.account_sid, self.auth_token

    @property
    def tokens(self) -> tuple[str, ...]:
        """Those that a webhook may be signed with: two during a rotation."""
        return (self.auth_token, self.previous_auth_token) if self.previous_auth_token else (self.auth_token,)
