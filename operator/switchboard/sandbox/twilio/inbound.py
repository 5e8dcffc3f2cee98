"""A text that a person sends: recorded in the account, then posted to whatever webhook applies.

Source of the parameters: https://www.twilio.com/docs/messaging/guides/webhook-request
"""

import base64
import json
from dataclasses import dataclass

from switchboard.sandbox.twilio.control_models import Signature, TextSpec, WebhookCall
from switchboard.sandbox.twilio.errors import ApiError
from switchboard.sandbox.twilio.opt_out import OptOuts
from switchboard.sandbox.twilio.outbound import Outbound
from switchboard.sandbox.twilio.records import API_VERSION, Account, Media, Message, PhoneNumber, Sender, new_sid
from switchboard.sandbox.twilio.segments import segments
from switchboard.sandbox.twilio.twiml import read
from switchboard.sandbox.twilio.webhooks import Webhooks
from switchboard.sandbox.twilio.world import World

Pairs = list[tuple[str, str]]


@dataclass
class Target:
    """Where an inbound message is posted. An empty `url` drops it."""

    url: str = ""
    method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"


class Inbound:
    """Takes texts and calls webhooks; remembers the parameters, so that the same text can be posted again."""

    def __init__(self, world: World, webhooks: Webhooks, outbound: Outbound, opt_outs: OptOuts) -> None:
        self._world = world
        self._webhooks = webhooks
        self._outbound = outbound
        self._opt_outs = opt_outs
        self._parameters: dict[str, Pairs] = {}

    async def receive(self, spec: TextSpec) -> Message:
        """Records the text. Raises ApiError if nobody here has the number."""
        whatsapp = spec.channel == "WhatsApp"
        holder = self._world.find_sender(spec.to) if whatsapp else self._world.find_number(spec.to)
        if holder is None:
            raise ApiError(404, 20404, f"no account here has {spec.to} on {spec.channel}")
        account, resource = holder
        prefix = "whatsapp:" if whatsapp else ""
        now = self._world.clock.now()
        service = account.service_of(resource) if isinstance(resource, PhoneNumber) else None
        message = Message(
            sid=new_sid("MM" if spec.media and not whatsapp else "SM"),
            account_sid=account.sid,
            sender=prefix + spec.sender,
            to=prefix + spec.to,
            body=spec.body,
            direction="inbound",
            status="received",
            created=now,
            sent=now,
            segments=segments(spec.body),
            service_sid=service.sid if service else "",
            media=[Media(new_sid("ME"), item.content_type, base64.b64decode(item.content)) for item in spec.media],
        )
        account.messages[message.sid] = message
        opt_out_type = ""
        if whatsapp:
            account.wrote[spec.to, spec.sender] = now
        else:
            opt_out_type = await self._opt_outs.heed(account, resource, message) if service_or(resource) else ""
        self._parameters[message.sid] = self._build(account, message, spec, opt_out_type)
        return message

    async def post(self, sid: str, signature: Signature = "good") -> list[WebhookCall]:
        """Calls the webhook of a recorded text, and the fallback if that fails, and sends what the TwiML asks for."""
        found = self._world.find_message(sid)
        if found is None or sid not in self._parameters:
            raise ApiError(404, 20404, f"no inbound message {sid}")
        account, message = found
        target = self._target(account, message)
        if not target.url:
            return []
        pairs = self._parameters[sid]
        answer = await self._webhooks.call(
            account, target.url, target.method, pairs, kind="message", message_sid=sid, signature=signature
        )
        calls = list(answer.calls)
        twiml = read(answer)
        if twiml.error:
            self._world.alert(account, twiml.error, target.url, twiml.text, sid)
            if target.fallback_url and (not answer.ok or twiml.error in {12100, 12300}):
                failed = [("ErrorCode", str(twiml.error)), ("ErrorUrl", target.url)]
                answer = await self._webhooks.call(
                    account,
                    target.fallback_url,
                    target.fallback_method,
                    [*pairs, *failed],
                    kind="fallback",
                    message_sid=sid,
                    signature=signature,
                )
                calls += answer.calls
                twiml = read(answer)
                if twiml.error:
                    self._world.alert(account, twiml.error, target.fallback_url, twiml.text, sid)
        for reply in twiml.replies:
            await self._outbound.reply(account, message, reply)
        return calls

    def _target(self, account: Account, message: Message) -> Target:
        """A service comes before its number, an application before the number's own URLs; a sender has its own."""
        if message.to.startswith("whatsapp:"):
            found = self._world.find_sender(message.to.removeprefix("whatsapp:"))
            return _sender_target(found[1]) if found else Target()
        number = next((n for n in account.numbers.values() if n.phone_number == message.to), None)
        if number is None:
            return Target()
        service = account.service_of(number)
        if service is not None and not service.use_inbound_webhook_on_number:
            return Target(
                service.inbound_request_url, service.inbound_method, service.fallback_url, service.fallback_method
            )
        source = account.applications.get(number.sms_application_sid, number)
        return Target(source.sms_url, source.sms_method, source.sms_fallback_url, source.sms_fallback_method)

    def _build(self, account: Account, message: Message, spec: TextSpec, opt_out_type: str) -> Pairs:
        whatsapp = spec.channel == "WhatsApp"
        parameters = {
            "SmsMessageSid": message.sid,
            "NumMedia": str(len(message.media)),
            "SmsSid": message.sid,
            "SmsStatus": "received",
            "Body": message.body,
            "To": message.to,
            "NumSegments": str(message.segments),
            "MessageSid": message.sid,
            "AccountSid": account.sid,
            "From": message.sender,
            "ApiVersion": API_VERSION,
        }
        if message.service_sid:
            parameters["MessagingServiceSid"] = message.service_sid
        if opt_out_type:
            parameters["OptOutType"] = opt_out_type
        parameters |= _whatsapp(spec) if whatsapp else _places(spec)
        base = f"{self._world.base_url}/{API_VERSION}/Accounts/{account.sid}/Messages/{message.sid}/Media"
        for index, media in enumerate(message.media):
            parameters[f"MediaContentType{index}"] = media.content_type
            parameters[f"MediaUrl{index}"] = f"{base}/{media.sid}"
        parameters |= spec.parameters
        return list(parameters.items())


def service_or(resource: PhoneNumber | Sender) -> bool:
    return isinstance(resource, PhoneNumber)


def _sender_target(sender: Sender) -> Target:
    get = sender.webhook.get
    return Target(
        get("callback_url") or "",
        get("callback_method") or "POST",
        get("fallback_url") or "",
        get("fallback_method") or "POST",
    )


def _places(spec: TextSpec) -> dict[str, str]:
    parameters = {}
    for name, number in (("From", spec.sender), ("To", spec.to)):
        american = number.startswith("+1")
        parameters[f"{name}Country"] = "US" if american else ""
        parameters[f"{name}State"] = "CA" if american else ""
        parameters[f"{name}City"] = "SAN FRANCISCO" if american else ""
        parameters[f"{name}Zip"] = "94105" if american else ""
    return parameters


def _whatsapp(spec: TextSpec) -> dict[str, str]:
    name, digits = spec.profile_name or "Ada", spec.sender.lstrip("+")
    kind = spec.media[0].content_type.partition("/")[0] if spec.media else "text"
    context = {"type": "whatsapp", "data": {"context": {"ProfileName": name, "WaId": digits}}}
    return {
        "ProfileName": name,
        "WaId": digits,
        "MessageType": kind,
        "ReferralNumMedia": "0",
        "ChannelMetadata": json.dumps(context),
    }
