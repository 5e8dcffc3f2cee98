"""STOP, START and HELP as Twilio itself answers them. Source: https://help.twilio.com/articles/223134027"""

from switchboard.sandbox.twilio.records import Account, Message, PhoneNumber, Sender, new_sid
from switchboard.sandbox.twilio.world import World

_STOP = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
_START = {"START", "YES", "UNSTOP"}
_HELP = {"HELP", "INFO"}
_STOPPED = (
    "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe."
)
_STARTED = (
    "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply."
)
_HELPED = "Reply STOP to unsubscribe. Msg&Data Rates May Apply."


class OptOuts:
    """Who wants no more texts from whom."""

    def __init__(self, world: World) -> None:
        self._world = world

    @staticmethod
    def key(account: Account, number: PhoneNumber) -> str:
        """An opt-out is from a messaging service if the number is in one, else from the number."""
        service = account.service_of(number)
        return service.sid if service else number.phone_number

    async def heed(self, account: Account, number: PhoneNumber | Sender, message: Message) -> str:
        """Answers a keyword on SMS as Twilio does. What it says as `OptOutType`: only with Advanced Opt-Out."""
        if not isinstance(number, PhoneNumber):
            return ""
        word = message.body.strip().upper()
        pair = (self.key(account, number), message.sender)
        if word in _STOP:
            kind, text = "STOP", _STOPPED
            account.opted_out.add(pair)
        elif word in _START and (pair in account.opted_out or word != "YES"):
            kind, text = "START", _STARTED
            answered = pair in account.opted_out
            account.opted_out.discard(pair)
            text = text if answered else ""
        elif word in _HELP:
            kind, text = "HELP", _HELPED
        else:
            return ""
        if text:
            await self._answer(account, message, text)
        service = account.service_of(number)
        return kind if service is not None and service.advanced_opt_out else ""

    async def _answer(self, account: Account, message: Message, text: str) -> None:
        """Twilio's own words reach the phone and are in no list of the account's."""
        now = self._world.clock.now()
        await self._world.deliver_to_phone(
            Message(
                new_sid("SM"), account.sid, message.to, message.sender, text, "outbound-reply", "delivered", now, now
            )
        )
