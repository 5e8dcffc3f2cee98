"""What a webhook's answer asks for. Errors are those of Twilio's debugger."""

from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from switchboard.sandbox.twilio.webhooks import Answer

_XML = {"text/xml", "application/xml", "text/html"}


@dataclass
class Reply:
    body: str
    media: list[str] = field(default_factory=list)
    to: str = ""
    sender: str = ""
    status_callback: str = ""


@dataclass
class Twiml:
    """The replies, or the debugger's error code with a sentence."""

    replies: list[Reply] = field(default_factory=list)
    error: int = 0
    text: str = ""


def read(answer: Answer) -> Twiml:
    """What Twilio makes of an answer."""
    if not answer.ok:
        return Twiml(error=11200, text=f"HTTP retrieval failure ({answer.status or answer.failure})")
    if answer.status == 204:
        return Twiml()
    if not answer.body.strip():
        return Twiml(error=11200, text="HTTP retrieval failure: an empty answer")
    if answer.content_type == "text/plain":
        return Twiml(replies=[Reply(answer.body.decode("utf-8", "replace"))])
    return _read_document(answer)


def _read_document(answer: Answer) -> Twiml:
    if answer.content_type not in _XML:
        return Twiml(error=12300, text=f"Invalid Content-Type: {answer.content_type or 'none'}")
    try:
        if b"<!" in answer.body.replace(b"<![CDATA[", b"").replace(b"<!--", b""):
            raise ET.ParseError("a document type is not taken")  # noqa: TRY301 - an entity is no use of TwiML's
        root = ET.fromstring(answer.body)  # noqa: S314 - entities cannot be declared without a document type
    except ET.ParseError as error:
        return Twiml(error=12100, text=f"Document parse failure: {error}")
    twiml = Twiml()
    if root.tag != "Response":
        twiml.error, twiml.text = 12200, f"Schema validation warning: {root.tag} instead of Response"
        return twiml
    for verb in root:
        if verb.tag == "Message":
            twiml.replies.append(_reply(verb))
        else:
            twiml.error, twiml.text = 12200, f"The simulator does not follow <{verb.tag}>"
            break
    return twiml


def _reply(verb: ET.Element) -> Reply:
    body = "".join(part.text or "" for part in verb.iter("Body")) or (verb.text or "")
    get = verb.attrib.get
    media = [part.text or "" for part in verb.iter("Media")]
    return Reply(body, media, get("to", ""), get("from", ""), get("statusCallback", ""))
