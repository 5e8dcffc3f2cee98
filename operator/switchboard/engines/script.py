"""`engine.script`: answers by rule."""

from __future__ import annotations

import asyncio
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import re2

from switchboard.api.conversation import BODY_MAX, Step
from switchboard.api.engine import ScriptEngine as ScriptSpec
from switchboard.api.engine import ScriptRule
from switchboard.engines.base import Answer, EngineMisconfigured, Said, TurnInput
from switchboard.engines.steps import bounded
from switchboard.engines.texts import RESULT_MAX, sayable

FIELD: Final = "spec.template.engine.script"
SEARCHED: Final = 4096
"""Characters of a message that rules see: the longest message that a channel carries (WhatsApp)."""
PROGRAM_BYTES: Final = 1 << 20
"""Memory of one compiled expression. RE2's time is linear in text and program; this bounds the program."""


@dataclass(frozen=True, slots=True)
class Template:
    """A reply: literal texts and, between them, names of groups."""

    pieces: Sequence[tuple[str, str | None]]

    def render(self, groups: Mapping[str, str | None]) -> str:
        """The reply. A group that took no part in the match stands for nothing."""
        return "".join(text + (groups[name] or "" if name is not None else "") for text, name in self.pieces)


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule."""

    pattern: re2._Regexp
    reply: Template

    def answer(self, text: str) -> str | None:
        """The reply to a message, or None if the rule does not match."""
        match = self.pattern.search(text[:SEARCHED])
        return None if match is None else self.reply.render(match.groupdict())


def compile_rules(script: ScriptSpec) -> list[Rule]:
    """The rules, ready to run.

    Raises:
        EngineMisconfigured: one cannot be compiled; the message begins with its place.
    """
    return [_compile(rule, f"{FIELD}.rules[{index}]") for index, rule in enumerate(script.rules)]


def _compile(rule: ScriptRule, place: str) -> Rule:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PROGRAM_BYTES
    try:
        pattern = re2.compile(rule.match, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise EngineMisconfigured(
            "ScriptInvalid",
            f"{place}.match: {rule.match!r} is not a regular expression that RE2 takes: {reason} "
            "(https://github.com/google/re2/wiki/Syntax; it has no look-around and no back-references)",
        ) from None
    return Rule(pattern, _parse_reply(rule.reply, set(pattern.groupindex), f"{place}.reply"))


def _parse_reply(reply: str, groups: set[str], place: str) -> Template:
    pieces: list[tuple[str, str | None]] = []
    try:
        parsed = list(string.Formatter().parse(reply))
    except ValueError as error:
        raise EngineMisconfigured(
            "ScriptInvalid", f"{place}: {error}; a literal brace is written twice: {{{{ or }}}}"
        ) from None
    for text, name, specification, conversion in parsed:
        if name is None:
            pieces.append((text, None))
            continue
        shown = name + (f"!{conversion}" if conversion else "") + (f":{specification}" if specification else "")
        if shown not in groups:
            known = ", ".join(sorted(groups)) or "none"
            example = shown if shown.isidentifier() else "name"
            raise EngineMisconfigured(
                "ScriptInvalid",
                f"{place}: {{{shown}}} names no group of the rule's match (named groups there: {known}); "
                f"write (?P<{example}>…) in match, or double the braces of literal text",
            )
        pieces.append((text, name))
    return Template(tuple(pieces))


class ScriptEngine:
    """The first rule that matches a message answers it.

    A turn of several messages gets the replies to each, in order and each once; the fallback only if nothing matched.
    """

    def __init__(self, script: ScriptSpec) -> None:
        self._rules = compile_rules(script)
        self._fallback = script.fallback

    async def answer(self, turn: TurnInput) -> Answer:
        """The replies that the rules give, or the fallback."""
        replies: dict[str, None] = {}
        steps: list[Step] = []
        for said in turn.messages:
            found = await self._first(said)
            if found is not None:
                index, reply = found
                replies.setdefault(reply)
                steps.append(Step(kind="Rule", name=f"rules[{index}]", result=sayable(reply, RESULT_MAX)))
        if not steps:
            return Answer(self._fallback, steps=[Step(kind="Rule", name="fallback", result=self._fallback)])
        return Answer(sayable("\n".join(replies), BODY_MAX), steps=bounded(steps))

    async def _first(self, said: Said) -> tuple[int, str] | None:
        for index, rule in enumerate(self._rules):
            if index % 16 == 15:
                await asyncio.sleep(0)  # Two hundred rules must not hold up the other conversations.
            reply = rule.answer(said.text)
            if reply is not None:
                return index, reply
        return None

    async def check(self) -> None:
        """Nothing is left to prove: the rules were compiled when the engine was made."""

    async def close(self) -> None:
        """Holds nothing."""
