"""Label and field selectors, as query parameters and as the structs inside objects.

Grammar and error texts follow k8s.io/apimachinery/pkg/labels and pkg/fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kubesandbox import names

Labels = Mapping[str, str]


class SelectorError(ValueError):
    """A selector that cannot be read; the text is what kube-apiserver says of it."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term: a key, how it is compared, and with which values."""

    key: str
    operator: str  # = != in notin exists !
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether `labels` satisfy this term; an absent key satisfies every negative one."""
        value = labels.get(self.key)
        if value is None:
            return self.operator in {"!", "!=", "notin"}
        return _COMPARISONS[self.operator](value, self.values)


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float("nan")


# What a present value must be; an operator that validation refuses matches nothing.
_COMPARISONS: dict[str, Callable[[str, tuple[str, ...]], bool]] = {
    "exists": lambda value, values: True,
    "!": lambda value, values: False,
    "=": lambda value, values: value in values,
    "in": lambda value, values: value in values,
    "!=": lambda value, values: value not in values,
    "notin": lambda value, values: value not in values,
    "gt": lambda value, values: _number(value) > int(values[0]),
    "lt": lambda value, values: _number(value) < int(values[0]),
    "refused": lambda value, values: False,
}


@dataclass(frozen=True, slots=True)
class Selector:
    """All terms must hold; without terms everything matches."""

    terms: tuple[Requirement, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether every term holds for `labels`."""
        return all(term.matches(labels) for term in self.terms)

    def __bool__(self) -> bool:
        return bool(self.terms)


EVERYTHING = Selector()
_TOKEN = re.compile(r"\s*(?:(!=|==|=|!|>|<|,|\(|\))|([^\s!=<>,()]+))")


def _check_key(key: str) -> None:
    wrong = names.label_key(key)
    if wrong:
        raise SelectorError(f'unable to parse requirement: <nil>: Invalid value: "{key}": {"; ".join(wrong)}')


def _check_values(key: str, values: tuple[str, ...]) -> None:
    found = [
        f'values[{index}][{key}]: Invalid value: "{value}": {"; ".join(wrong)}'
        for index, value in enumerate(values)
        if (wrong := names.label_value(value))
    ]
    if found:
        said = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
        raise SelectorError(f"unable to parse requirement: {said}")


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = [(m.group(1) or "", m.group(2) or "") for m in _TOKEN.finditer(text)]
        self.at = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self.at < len(self.tokens):
            found.append(self.requirement())
            sign, word = self.take()
            if not sign and not word:
                break
            if sign != ",":
                raise SelectorError(f"found '{sign or word}', expected: ',' or 'end of string'")
            sign, word = self.peek()
            if not word and sign != "!":
                raise SelectorError(f"found '{sign}', expected: identifier after ','")
        return found

    def requirement(self) -> Requirement:
        sign, word = self.take()
        negated = sign == "!"
        if negated:
            sign, word = self.take()
        if sign or not word:
            raise SelectorError(f"found '{sign}', expected: !, identifier, or 'end of string'")
        _check_key(word)
        if negated:
            return Requirement(word, "!")
        return self.comparison(word)

    def comparison(self, key: str) -> Requirement:
        sign, word = self.peek()
        if sign in {"", ","} and not word:
            return Requirement(key, "exists")
        self.take()
        if word in {"in", "notin"}:
            return Requirement(key, word, self.values(key))
        if sign in {"=", "==", "!="}:
            value = self.word_or_empty()
            _check_values(key, (value,))
            return Requirement(key, "!=" if sign == "!=" else "=", (value,))
        if sign in {">", "<"}:
            value = self.word_or_empty()
            if not re.fullmatch(r"[+-]?\d+", value):
                raise SelectorError(
                    f'unable to parse requirement: values[0]: Invalid value: "{value}": '
                    "for 'Gt', 'Lt' operators, the value must be an integer"
                )
            return Requirement(key, "gt" if sign == ">" else "lt", (value,))
        raise SelectorError(
            f"unable to parse requirement: found '{sign or word}', expected: in, notin, =, ==, !=, gt, lt"
        )

    def word_or_empty(self) -> str:
        sign, word = self.peek()
        if not sign and word:
            self.take()
        return word

    def values(self, key: str) -> tuple[str, ...]:
        sign, word = self.take()
        if sign != "(":
            raise SelectorError(f"unable to parse requirement: found '{sign or word}' expected: '('")
        values = [self.word_or_empty()]
        while (token := self.take())[0] == ",":
            values.append(self.word_or_empty())
        if token[0] != ")":
            raise SelectorError(f"unable to parse requirement: found '{token[1]}', expected: ',' or ')'")
        found = tuple(sorted(set(values)))
        _check_values(key, found)
        return found


def parse_labels(text: str) -> Selector:
    """The selector that `labelSelector=text` asks for; raises SelectorError."""
    if not text.strip():
        return EVERYTHING
    return Selector(tuple(_Parser(text).requirements()))


def _unescaped(value: str) -> str:
    """A field selector's value without its escapes (fields.UnescapeValue)."""
    wrong = re.sub(r"\\[,=\\]", "", value)
    if "\\" in wrong:
        at = wrong.index("\\")
        raise SelectorError(f"invalid field selector: invalid escape sequence: {wrong[at : at + 2]}")
    if "=" in wrong:
        raise SelectorError("invalid field selector: unescaped character in value: '='")
    return re.sub(r"\\([,=\\])", r"\1", value)


def parse_fields(text: str, known: Callable[[str], bool], unsupported: Callable[[str], str]) -> Selector:
    """The selector that `fieldSelector=text` asks for; `known` says which fields this kind can be selected by."""
    terms: list[Requirement] = []
    for part in re.split(r"(?<!\\),", text):
        if not part:
            continue
        match = re.match(r"(.*?)(!=|==|=)(.*)", part, re.DOTALL)
        if not match:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        key, operator, value = match.groups()
        value = _unescaped(value)
        if not known(key):
            raise SelectorError(unsupported(key))
        terms.append(Requirement(key, "!=" if operator == "!=" else "=", (value,)))
    return Selector(tuple(terms))


def from_struct(selector: Mapping[str, object] | None) -> Selector | None:
    """The selector of a `metav1.LabelSelector`; None, like a null selector, selects nothing."""
    if selector is None:
        return None
    terms: list[Requirement] = []
    match_labels = selector.get("matchLabels")
    if isinstance(match_labels, Mapping):
        terms += [Requirement(str(key), "=", (str(value),)) for key, value in match_labels.items()]
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    expressions = selector.get("matchExpressions")
    if isinstance(expressions, list):
        terms += [
            Requirement(e["key"], operators.get(e["operator"], "refused"), tuple(e.get("values") or ()))
            for e in expressions
        ]
    return Selector(tuple(terms))


def format_selector(selector: Mapping[str, object] | None) -> str:
    """How kubectl's tables and the scale subresource write a `metav1.LabelSelector`."""
    parsed = from_struct(selector)
    if parsed is None:
        return "<none>"
    written: list[str] = []
    for term in sorted(parsed.terms, key=lambda term: term.key):
        match term.operator:
            case "exists":
                written.append(term.key)
            case "!":
                written.append(f"!{term.key}")
            case "in" | "notin":
                written.append(f"{term.key} {term.operator} ({','.join(sorted(term.values))})")
            case _:
                written.append(f"{term.key}{term.operator}{term.values[0]}")
    return ",".join(written) or "<none>"
