"""The single words that carriers and Twilio give a meaning to.

Source: https://help.twilio.com/articles/223134027 (default keywords), `OptOutType` of Advanced Opt-Out.
"""

from switchboard.providers.base import Channel, Keyword

STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
HELP_WORDS = frozenset({"HELP", "INFO"})

_KEYWORDS = {
    **dict.fromkeys(STOP_WORDS, Keyword.STOP),
    **dict.fromkeys(START_WORDS, Keyword.START),
    **dict.fromkeys(HELP_WORDS, Keyword.HELP),
}
_OPT_OUT_TYPES = {"STOP": Keyword.STOP, "START": Keyword.START, "HELP": Keyword.HELP}
_LONGEST = max(map(len, _KEYWORDS))


def keyword(channel: Channel, body: str, opt_out_type: str = "") -> Keyword | None:
    """The family of `body`, or None. What Twilio says (`OptOutType`) counts before the word; WhatsApp has no words.

    A START word is a mere answer unless an opt-out is on record or Twilio confirmed it: the caller weighs that.
    """
    if opt_out_type:
        told = _OPT_OUT_TYPES.get(opt_out_type.strip().upper())
        if told is not None:
            return told
    if channel is not Channel.SMS or len(body) > _LONGEST + 8:
        return None
    return _KEYWORDS.get(body.strip().upper())
