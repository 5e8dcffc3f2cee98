"""What can go wrong between us and a provider, by what may be done next.

- `RejectedError`: it will never work until a person changes something. Tell them; do not repeat.
- `UnavailableError`: it was not processed, or repeating it is harmless. Repeat with back-off, not before
  `retry_after`.
- `OutcomeUnknownError`: it may have been processed, and repeating it may do it twice. Look it up; never just repeat.
"""


class ProviderError(Exception):
    """`str()` is a sentence that names the mend and holds no secret.

    `reason` is a CamelCase word fit for a condition, `code` the provider's own number, `status` that of HTTP.
    """

    def __init__(
        self,
        sentence: str,
        *,
        reason: str,
        mend: str = "",
        code: int | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(sentence, reason, mend, code, status, retry_after)
        self.sentence = sentence
        self.reason = reason
        self.mend = mend
        self.code = code
        self.status = status
        self.retry_after = retry_after
        """Seconds that the provider asked us to wait."""

    def __str__(self) -> str:
        return f"{self.sentence} {self.mend}".rstrip()


class RejectedError(ProviderError):
    """It will not work, however often it is repeated, until a person changes something."""


class CredentialsError(RejectedError):
    """The provider does not know these credentials, or they may not do this."""


class AccountUnusableError(RejectedError):
    """The credentials are right and the account is suspended or closed."""


class NotFoundError(RejectedError):
    """The thing asked for is not there, or not this account's."""


class MediaRefusedError(RejectedError):
    """A file is larger than allowed, of a type that is not, or somewhere that credentials must not go."""


class UnavailableError(ProviderError):
    """Nothing was done, or doing it again does no harm: repeat with back-off."""


class OutcomeUnknownError(ProviderError):
    """Nobody can say whether it was done: a time-out or a 5xx after a request that must not happen twice."""


class InvalidWebhookError(ValueError):
    """A verified webhook that does not hold what it must. Names the parameter."""
