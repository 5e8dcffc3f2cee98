"""`engine.script`: rules in order, groups in replies, a fallback, and refusals that name the place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engines.turns import turn

from switchboard.api.engine import Engine
from switchboard.engines import EngineMisconfigured, build


def script(*rules: tuple[str, str], fallback: str = "What?") -> Engine:
    return Engine.model_validate(
        {"script": {"rules": [{"match": match, "reply": reply} for match, reply in rules], "fallback": fallback}}
    )


async def ask(engine: Engine, *texts: str) -> str:
    return (await build(engine, secrets=Path("/nowhere")).answer(turn(*texts))).text


async def test_the_first_rule_that_matches_answers() -> None:
    engine = script(("(?i)hours", "9 to 5"), ("(?i)hours|price", "It depends"))
    assert await ask(engine, "Your HOURS and price?") == "9 to 5"
    assert await ask(engine, "price") == "It depends"
    assert await ask(engine, "weather") == "What?"


async def test_named_groups_stand_in_the_reply_and_those_that_took_no_part_are_empty() -> None:
    engine = script((r"(?i)order (?P<number>\d+)(?: for (?P<who>\w+))?", "{who}[{number}]{{literal}}"))
    assert await ask(engine, "Order 42 for Ann") == "Ann[42]{literal}"
    assert await ask(engine, "order 7") == "[7]{literal}"


async def test_what_a_contact_writes_is_never_a_template_itself() -> None:
    assert await ask(script(("(?P<all>.+)", "{all}")), "{all} {{x}} {0}") == "{all} {{x}} {0}"


async def test_each_message_of_a_turn_is_answered_once_and_in_order() -> None:
    engine = script(("^1$", "one"), ("^2$", "two"))
    assert await ask(engine, "2", "noise", "1", "2") == "two\none"


async def test_the_step_names_the_rule() -> None:
    answer = await build(script(("a", "A"), ("b", "B")), secrets=Path("/nowhere")).answer(turn("b"))
    assert [(step.kind, step.name, step.result) for step in answer.steps] == [("Rule", "rules[1]", "B")]


@pytest.mark.parametrize(
    ("match", "reply", "place", "says"),
    [
        ("(", "x", "rules[1].match", "missing )"),
        (r"(a)\1", "x", "rules[1].match", "invalid escape sequence"),
        ("(?=a)", "x", "rules[1].match", "look-around"),
        ("a", "{name}", "rules[1].reply", "{name} names no group"),
        ("(?P<name>a)", "{name!r}", "rules[1].reply", "{name!r} names no group"),
        ("(?P<name>a)", "{name.upper}", "rules[1].reply", "named groups there: name"),
        ("a", "{", "rules[1].reply", "a literal brace is written twice: {{ or }}"),
        ("a", "}", "rules[1].reply", "a literal brace is written twice: {{ or }}"),
        ("a", "{}", "rules[1].reply", "names no group"),
        ("((a{100}){100}){100}", "x", "rules[1].match", "RE2"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_by_its_place(match: str, reply: str, place: str, says: str) -> None:
    with pytest.raises(EngineMisconfigured) as refused:
        build(script(("fine", "fine"), (match, reply)), secrets=Path("/nowhere"))
    assert str(refused.value).startswith(f"spec.template.engine.script.{place}: ")
    assert says in str(refused.value)


@pytest.mark.parametrize("match", [r"(a+)+$", r"(a|aa)+$", r"(.*a){50}$", r"(x+x+)+y"])
async def test_an_expression_that_hangs_others_does_not_hang_this(match: str) -> None:
    started = time.process_time()
    await ask(script((match, "x")), "a" * 60_000 + "!" + "x" * 60_000)
    assert time.process_time() - started < 1


WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=50)


@given(WORDS, WORDS)
async def test_any_text_is_answered_and_comes_back_as_it_was(before: str, text: str) -> None:
    reply = before.replace("{", "{{").replace("}", "}}") + "<{all}>"
    found = await ask(script(("(?s)^(?P<all>.*)$", reply)), text)
    assert found == f"{before}<{text}>".strip()
