"""CEL's grammar: a text read into a tree that knows where each part stood.

The library that evaluates takes only texts and knows no types; kube-apiserver refuses an expression that does not fit
the types of a schema when a CRD is created, so expressions are read here first.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from kubesandbox.schema.cel.errors import CompileError


@dataclass(slots=True)
class Expr:
    """A part of an expression; `at` is the offset that errors about it point to."""

    at: int


@dataclass(slots=True)
class Literal(Expr):
    text: str
    kind: str


@dataclass(slots=True)
class Ident(Expr):
    name: str


@dataclass(slots=True)
class Select(Expr):
    operand: Expr
    name: str
    optional: bool = False


@dataclass(slots=True)
class Index(Expr):
    operand: Expr
    index: Expr
    optional: bool = False


@dataclass(slots=True)
class Call(Expr):
    """A function, a method (with a target), or an operator by CEL's name for it: `_&&_`, `_?_:_`."""

    name: str
    target: Expr | None
    args: list[Expr]


@dataclass(slots=True)
class ListOf(Expr):
    items: list[Expr]


@dataclass(slots=True)
class MapOf(Expr):
    entries: list[tuple[Expr, Expr]] = field(default_factory=list)


_TOKEN = re.compile(
    r"""(?P<space>[\s]+|//[^\n]*)
    |(?P<string>[rRbB]{0,2}(?:\"{3}.*?(?<!\\)\"{3}|'{3}.*?(?<!\\)'{3}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
    |(?P<float>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<uint>(?:0[xX][0-9a-fA-F]+|\d+)[uU])
    |(?P<int>0[xX][0-9a-fA-F]+|\d+)
    |(?P<ident>[_a-zA-Z][_a-zA-Z0-9]*)
    |(?P<quoted>`[a-zA-Z0-9_./\- ]+`)
    |(?P<op>\|\||&&|==|!=|<=|>=|\.\?|\[\?|[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
#: What an expression may begin with.
_STARTS = (
    "'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER"
)
#: What cel-go's lexer takes along when it gives up: half an operator with what follows it, a string without an end.
_ODD = re.compile(r"""[=&|].?|["'].*""")
_RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_RELATIONS = {"==": "_==_", "!=": "_!=_", "<": "_<_", "<=": "_<=_", ">": "_>_", ">=": "_>=_", "in": "@in"}
_SUMS, _PRODUCTS = {"+": "_+_", "-": "_-_"}, {"*": "_*_", "/": "_/_", "%": "_%_"}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def where(source: str, at: int, message: str) -> str:
    """An error as cel-go shows it: line and column, the line, and a mark under the place."""
    line = source.count("\n", 0, at) + 1
    start = source.rfind("\n", 0, at) + 1
    end = source.find("\n", at)
    shown = source[start : end if end >= 0 else len(source)]
    return f"ERROR: <input>:{line}:{at - start + 1}: {message}\n | {shown}\n | {'.' * (at - start)}^"


def parse(source: str) -> Expr:
    """The tree of an expression. `CompileError` where it is none."""
    return _Parser(source).whole()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        #: What is no token: told before what is then wrong with the rest.
        self.odd: list[str] = []
        self.tokens = self._tokens()
        self.position = 0

    def _tokens(self) -> list[_Token]:
        tokens, at = [], 0
        while at < len(self.source):
            found = _TOKEN.match(self.source, at)
            if found is None:
                odd = _ODD.match(self.source, at)
                text = odd[0] if odd is not None else self.source[at]
                self.odd.append(where(self.source, at, f"Syntax error: token recognition error at: '{text}'"))
                at += len(text)
                continue
            if found.lastgroup != "space":
                tokens.append(_Token(str(found.lastgroup), found[0], at))
            at = found.end()
        return [*tokens, _Token("end", "<EOF>", at)]

    def _error(self, at: int, message: str) -> CompileError:
        return CompileError("\n".join([*self.odd, where(self.source, at, message)]))

    @property
    def now(self) -> _Token:
        return self.tokens[self.position]

    def take(self) -> _Token:
        token = self.now
        self.position += 1
        return token

    def takes(self, *texts: str) -> bool:
        """Go over the next token if it is one of these."""
        if self.now.kind in {"op", "ident"} and self.now.text in texts:
            self.position += 1
            return True
        return False

    def expect(self, text: str) -> _Token:
        if self.now.kind == "end":
            raise self._error(self.now.at, f"Syntax error: missing '{text}' at '<EOF>'")
        if self.now.text != text or self.now.kind != "op":
            raise self._unexpected(f"'{text}'")
        return self.take()

    def _unexpected(self, expecting: str) -> CompileError:
        return self._error(self.now.at, f"Syntax error: mismatched input '{self.now.text}' expecting {expecting}")

    def whole(self) -> Expr:
        tree = self.ternary()
        if self.now.kind != "end":
            lone = self.tokens[self.position + 1].kind == "end"
            what = "extraneous" if lone else "mismatched"
            raise self._error(self.now.at, f"Syntax error: {what} input '{self.now.text}' expecting <EOF>")
        if self.odd:
            raise CompileError("\n".join(self.odd))
        return tree

    def ternary(self) -> Expr:
        condition = self.either()
        if self.now.text != "?" or self.now.kind != "op":
            return condition
        at = self.take().at
        then = self.either()
        self.expect(":")
        return Call(at, "_?_:_", None, [condition, then, self.ternary()])

    def either(self) -> Expr:
        return self._left({"||": "_||_"}, self.both)

    def both(self) -> Expr:
        return self._left({"&&": "_&&_"}, self.relation)

    def relation(self) -> Expr:
        return self._left(_RELATIONS, self.sum)

    def sum(self) -> Expr:
        return self._left(_SUMS, self.product)

    def product(self) -> Expr:
        return self._left(_PRODUCTS, self.unary)

    def _left(self, operators: dict[str, str], below: Callable[[], Expr]) -> Expr:
        left = below()
        while self.now.kind in {"op", "ident"} and self.now.text in operators:
            token = self.take()
            left = Call(token.at, operators[token.text], None, [left, below()])
        return left

    def unary(self) -> Expr:
        token = self.now
        if token.kind == "op" and token.text in {"!", "-"}:
            self.take()
            if token.text == "-" and self.now.kind in {"int", "float"}:
                number = self.take()
                return self.members(Literal(token.at, f"-{number.text}", number.kind))
            return Call(token.at, "!_" if token.text == "!" else "-_", None, [self.unary()])
        return self.members(self.primary())

    def members(self, tree: Expr) -> Expr:
        while self.now.kind == "op" and self.now.text in {".", ".?", "[", "[?"}:
            token = self.take()
            if token.text[0] == "[":
                index = self.ternary()
                self.expect("]")
                tree = Index(token.at, tree, index, optional=token.text == "[?")
                continue
            name = self.name()
            if token.text == "." and self.now.kind == "op" and self.now.text == "(":
                at = self.take().at
                tree = Call(at, name, tree, self.several(")"))
            else:
                tree = Select(token.at, tree, name, optional=token.text == ".?")
        return tree

    def name(self) -> str:
        if self.now.kind == "quoted":
            raise self._error(self.now.at, "unsupported syntax: '`'")
        if self.now.kind != "ident" or self.now.text in {"true", "false", "null", "in"}:
            if self.now.kind in {"end", "op"}:
                shown = "" if self.now.kind == "end" else self.now.text
                raise self._error(self.now.at, f"Syntax error: no viable alternative at input '.{shown}'")
            raise self._unexpected("IDENTIFIER")
        return self.take().text

    def several(self, end: str) -> list[Expr]:
        """Expressions up to `end`, which is gone over; a comma may follow the last of a list."""
        found: list[Expr] = []
        while not self.takes(end):
            if found:
                self._comma(end)
                if end == "]" and self.takes(end):
                    break
            if self.now.kind == "op" and self.now.text == "?":
                raise self._error(self.now.at, "optional elements of a list are not supported here")
            if end == ")" and not found and self.now.kind == "end":
                raise self._unexpected("{" + _STARTS.replace("'.'", "')', '.'") + "}")
            found.append(self.ternary())
        return found

    def _comma(self, end: str) -> None:
        if self.now.kind == "end":
            if end == ")":
                raise self._error(self.now.at, "Syntax error: missing ')' at '<EOF>'")
            raise self._unexpected(f"{{'{end}', ','}}")
        self.expect(",")

    def primary(self) -> Expr:
        token = self.take()
        if token.kind in {"string", "float", "uint", "int"}:
            bytes_ = token.kind == "string" and "b" in token.text[: token.text.index(token.text[-1])].lower()
            return Literal(token.at, token.text, "bytes" if bytes_ else token.kind)
        if token.kind == "ident":
            return self.identifier(token)
        if token.text == "(" and token.kind == "op":
            tree = self.ternary()
            self.expect(")")
            return tree
        if token.text == "[" and token.kind == "op":
            return ListOf(token.at, self.several("]"))
        if token.text == "{" and token.kind == "op":
            return self.map(token.at)
        self.position -= 1
        raise self._unexpected(f"{{{_STARTS}}}")

    def identifier(self, token: _Token) -> Expr:
        if token.text in {"true", "false"}:
            return Literal(token.at, token.text, "bool")
        if token.text == "null":
            return Literal(token.at, token.text, "null")
        if token.text in _RESERVED:
            raise self._error(token.at, f"reserved identifier: {token.text}")
        if self.now.kind == "op" and self.now.text == "(":
            at = self.take().at
            return Call(at, token.text, None, self.several(")"))
        return Ident(token.at, token.text)

    def map(self, at: int) -> Expr:
        entries: list[tuple[Expr, Expr]] = []
        while not self.takes("}"):
            if entries:
                self._comma("}")
                if self.takes("}"):
                    break
            if self.now.kind == "op" and self.now.text == "?":
                raise self._error(self.now.at, "optional entries of a map are not supported here")
            key = self.ternary()
            self.expect(":")
            entries.append((key, self.ternary()))
        return MapOf(at, entries)
