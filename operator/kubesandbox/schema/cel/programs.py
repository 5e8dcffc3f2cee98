"""Expressions, compiled once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from kubesandbox.schema.cel.engine import library
from kubesandbox.schema.cel.errors import CompileError, EvaluationError
from kubesandbox.schema.node import Node

_FAILURES: dict[type[BaseException], str] = {
    ZeroDivisionError: "division by zero",
    OverflowError: "integer overflow",
    TypeError: "no such overload",
}


class Program:
    """A compiled expression."""

    __slots__ = ("_compiled", "names")

    def __init__(self, text: str, compiled: Any) -> None:
        self._compiled = compiled
        #: The variables that it speaks of.
        self.names = frozenset(compiled.variables())

    def evaluate(self, bindings: Mapping[str, Any]) -> Any:
        """Its value, as JSON with datetimes and timedeltas. `EvaluationError` in cel-go's words where it fails."""
        engine = library()
        try:
            return self._compiled.execute(engine.Context(dict(bindings), {}))
        except KeyError as missing:
            raise EvaluationError(f"no such key: {missing.args[0]}") from None
        except IndexError as wrong:
            raise EvaluationError(str(wrong)) from None
        except (ZeroDivisionError, OverflowError, TypeError) as wrong:
            raise EvaluationError(_FAILURES[type(wrong)]) from None
        except (RuntimeError, ValueError) as wrong:
            raise EvaluationError(str(wrong)) from None


def compile_expression(text: str, variables: Iterable[str]) -> Program:
    """An expression over these variables. `CompileError` for one that does not compile."""
    program = _compile(text)
    unknown = program.names - set(variables)
    if unknown:
        raise CompileError(f"undeclared reference to '{min(unknown)}' (in container '')")
    return program


@lru_cache(maxsize=4096)
def _compile(text: str) -> Program:
    try:
        return Program(text, library().compile(text))
    except ValueError as wrong:
        raise CompileError(str(wrong)) from None


def of(text: str, node: Node, *, root: bool) -> Program:
    """The program of a schema node's rule."""
    return _compile(text)


def optional(value: Any) -> Any:
    """A value, or its absence, as CEL's optional."""
    engine = library()
    return engine.OptionalValue.none() if value is None else engine.OptionalValue.of(value)
