"""Twilio's error codes: what each means here, in a sentence with its mend, and what may be done next.

Source: https://www.twilio.com/docs/api/errors. Twilio splits codes now and then (in 2024:
21211, 21212, 21606, 21614), so one that is not here is still an error of its HTTP status, and says its number.
"""

from enum import Enum, auto
from typing import NamedTuple


class Next(Enum):
    """What may be done after an error."""

    MEND = auto()
    """A person has to change something first."""
    WAIT = auto()
    """It was not processed; repeat with back-off."""


class Code(NamedTuple):
    """What a code means: a CamelCase reason fit for a condition, a sentence, the mend."""

    reason: str
    sentence: str
    mend: str
    next: Next = Next.MEND


_OTHER_RECIPIENT = "Nothing can be done but to reach this person in another way."
_SENDER = "Use a number of this account that can send texts, or the messaging service that holds it."
_A2P = "Register the number's brand and campaign for A2P 10DLC, or verify the toll-free number, in Twilio's console."
_ACCOUNT = "Open Twilio's console with this account: it says what it needs."

CODES: dict[int, Code] = {
    # Credentials and the account
    20003: Code(
        "CredentialsInvalid", "Twilio refused the credentials.", "Check the Secret's accountSid and authToken."
    ),
    20005: Code("AccountSuspended", "The Twilio account is not active.", _ACCOUNT),
    20008: Code("CredentialsInvalid", "These are Twilio's test credentials.", "Put the live auth token in the Secret."),
    20403: Code("AccountSuspended", "The Twilio account may not do this.", _ACCOUNT),
    90010: Code("AccountSuspended", "The Twilio account is not active.", _ACCOUNT),
    20404: Code("NotFound", "Twilio has no such thing in this account.", "Check the SID or number, and the account."),
    20429: Code("TooManyRequests", "Twilio takes no more requests from this account right now.", "", Next.WAIT),
    20500: Code("TwilioUnavailable", "Twilio failed on its side.", "", Next.WAIT),
    20503: Code("TwilioUnavailable", "Twilio is not available.", "", Next.WAIT),
    # Setting up
    21402: Code("InvalidURL", "Twilio does not take this webhook URL.", "Check publicURL: https, a public host name."),
    21406: Code("FallbackWithoutURL", "A fallback URL needs a webhook URL beside it.", "Clear both together."),
    21609: Code("InvalidURL", "Twilio does not take the status callback's URL.", "Its host must hold no underscore."),
    # Recipients
    21211: Code("InvalidRecipient", "The recipient is not a valid phone number.", "Write it as E.164: +12025550123."),
    21265: Code("InvalidRecipient", "The recipient is a short code.", _OTHER_RECIPIENT),
    21266: Code("InvalidRecipient", "Sender and recipient are the same number.", "Send to another number."),
    21408: Code(
        "RegionNotEnabled", "Texts to the recipient's region are not enabled.", "Enable it in Geo permissions."
    ),
    21608: Code("TrialRecipient", "A trial account only texts verified numbers.", "Verify the number or upgrade."),
    21610: Code("OptedOut", "The recipient opted out with STOP.", "They can text START to come back."),
    21612: Code("Unreachable", "Twilio cannot reach the recipient from this sender.", _SENDER),
    21614: Code("NotMobile", "The recipient is not a mobile number.", _OTHER_RECIPIENT),
    21635: Code("NotMobile", "The recipient is a landline.", _OTHER_RECIPIENT),
    # Senders
    21212: Code("InvalidSender", "The sender is not a valid phone number.", _SENDER),
    21267: Code("InvalidSender", "A trial account cannot send from a name.", _SENDER),
    21603: Code("InvalidSender", "The message has no sender.", _SENDER),
    21606: Code("InvalidSender", "The sender cannot send texts.", _SENDER),
    21659: Code("InvalidSender", "The sender is no number of Twilio's.", _SENDER),
    21660: Code("InvalidSender", "The sender belongs to another account.", _SENDER),
    21661: Code("InvalidSender", "The sender cannot send texts.", _SENDER),
    21701: Code("InvalidSender", "There is no such messaging service.", "Check messagingServiceSid."),
    21703: Code("InvalidSender", "The messaging service holds no numbers.", "Add one in Twilio's console."),
    21705: Code("InvalidSender", "The messaging service's SID is not valid.", "Check messagingServiceSid."),
    21910: Code("InvalidSender", "Sender and recipient are on different channels.", _SENDER),
    30032: Code("SenderNotRegistered", "The toll-free sender is not verified.", _A2P),
    30034: Code("SenderNotRegistered", "The sender is not registered for A2P 10DLC.", _A2P),
    # Content and rate
    21602: Code("EmptyMessage", "The message has no text.", ""),
    21605: Code("TooLong", "The text is longer than the channel takes.", ""),
    21611: Code("QueueFull", "The sender's queue at Twilio is full.", "", Next.WAIT),
    21617: Code("TooLong", "The text is longer than 1600 characters.", ""),
    21619: Code("EmptyMessage", "The message has neither text nor media.", ""),
    21620: Code("InvalidMedia", "Twilio does not take a media URL.", "It must be public and well-formed."),
    # Delivery
    30001: Code("QueueFull", "The message waited too long in the sender's queue.", "Send more slowly."),
    30002: Code("AccountSuspended", "The account was suspended before the message went out.", _ACCOUNT),
    30003: Code("Unreachable", "The recipient's phone is off, or cannot take texts.", _OTHER_RECIPIENT),
    30004: Code("Blocked", "The recipient or the carrier blocks this sender.", _OTHER_RECIPIENT),
    30005: Code("UnknownRecipient", "The recipient does not exist any more.", _OTHER_RECIPIENT),
    30006: Code("NotMobile", "The recipient is a landline or a carrier that cannot be reached.", _OTHER_RECIPIENT),
    30007: Code("Filtered", "The carrier or Twilio filtered the message.", "Look at its text and the registration."),
    30008: Code("DeliveryFailed", "The carrier gives no reason.", ""),
    30022: Code("QueueFull", "The registered campaign's rate is used up.", "Send more slowly."),
    30023: Code("QueueFull", "The registered brand's daily limit is used up.", "Wait for the day to end."),
    # WhatsApp
    63003: Code("InvalidRecipient", "The recipient is not on WhatsApp.", _OTHER_RECIPIENT),
    63007: Code("SenderNotFound", "The account has no such WhatsApp sender.", "Register it in Twilio's console."),
    63013: Code("Filtered", "WhatsApp refused the message for its policy.", "Look at its text."),
    63015: Code("SandboxNotJoined", "The recipient has not joined the WhatsApp sandbox.", "Send its join code."),
    63016: Code("WindowClosed", "WhatsApp takes free text for 24 hours after the person wrote.", "Use a template."),
    63018: Code("TooManyRequests", "The WhatsApp sender's rate is used up.", "", Next.WAIT),
    63024: Code("InvalidRecipient", "The recipient cannot get WhatsApp messages.", _OTHER_RECIPIENT),
    63032: Code("Blocked", "WhatsApp limits what this person is sent.", _OTHER_RECIPIENT),
    63038: Code("TooManyRequests", "The account's messages for today are used up.", "Upgrade, or wait a day."),
}


def describe(code: int) -> str:
    """A sentence for a delivery's error code, with the mend; one that is not known says where to read of it."""
    known = CODES.get(code)
    if known is None:
        return f"Twilio's error {code}: see https://www.twilio.com/docs/api/errors/{code}"
    return f"{known.sentence} {known.mend}".rstrip()
