"""Twilio's error answers, worded as Twilio words them. Source: https://www.twilio.com/docs/api/errors"""

from aiohttp import web

from switchboard.sandbox.twilio.records import error_url


class ApiError(Exception):
    """An answer of an HTTP error status with Twilio's code and message."""

    def __init__(
        self, status: int, code: int, message: str, *, detail: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.headers = headers or {}

    def response(self) -> web.Response:
        body = {"code": self.code, "message": self.message, "more_info": error_url(self.code), "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        return web.json_response(body, status=self.status, headers=self.headers)


def unauthorized(message: str = "Authenticate", detail: str = "") -> ApiError:
    return ApiError(401, 20003, message, detail=detail, headers={"WWW-Authenticate": 'Basic realm="Twilio API"'})


def not_active(code: int) -> ApiError:
    """An account that is suspended or closed; Twilio's documents disagree on which of these it answers."""
    answers = {
        20003: (401, "Authenticate"),
        20005: (401, "Account not active"),
        20403: (403, "Forbidden"),
        90010: (400, "Account is not active"),
    }
    status, message = answers.get(code, (403, "Forbidden"))
    return ApiError(status, code if code in answers else 20403, message)


def not_found(path: str) -> ApiError:
    return ApiError(404, 20404, f"The requested resource {path} was not found")


def invalid_url(parameter: str, value: str) -> ApiError:
    return ApiError(400, 21402, f"{parameter} is not valid: {value}")


def not_simulated(what: str) -> ApiError:
    """What the real Twilio does and this one does not: said loudly."""
    return ApiError(501, 20501, f"This simulator does not serve {what}")


_MESSAGES = {
    21211: "Invalid 'To' Phone Number: {to}",
    21212: "Invalid From Number (caller ID): {sender}",
    21266: "'To' and 'From' number cannot be the same: {to}",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The From phone number {sender} is not a valid, SMS-capable inbound phone number or short code for your "
    "account.",
    21608: "The number {to} is unverified. Trial accounts cannot send messages to unverified numbers; verify {to} at "
    "twilio.com/user/account/phone-numbers/verified, or purchase a Twilio number to send messages to unverified "
    "numbers",
    21609: "The 'StatusCallback' URL {callback} is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' phone number: {to}, is not currently reachable using the 'From' phone number: {sender} via SMS.",
    21614: "'To' number is not a valid mobile number: {to}",
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21619: "A text message body or media urls must be specified.",
    21620: "Invalid media URL(s)",
    21701: "The Messaging Service resource does not exist.",
    21703: "The Messaging Service does not have a phone number available to send a message.",
    21910: "Invalid From and To pair. From and To should be of the same channel",
    63007: "Twilio could not find a Channel with the specified From address",
    63016: "Failed to send freeform message because you are outside the allowed window. If you are using WhatsApp, "
    "please use a Message Template.",
}


def message_error(code: int, *, to: str = "", sender: str = "", callback: str = "") -> ApiError:
    """A 400 that `POST …/Messages.json` gives."""
    text = _MESSAGES.get(code, "The message could not be sent")
    return ApiError(400, code, text.format(to=to, sender=sender, callback=callback))
