"""Expressions, checked and compiled once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from kubesandbox.schema.cel.checker import Checked, check
from kubesandbox.schema.cel.engine import library
from kubesandbox.schema.cel.errors import CompileError, EvaluationError
from kubesandbox.schema.cel.functions import failures, table
from kubesandbox.schema.cel.types import DYN, CelType, of_node, optional_of
from kubesandbox.schema.node import Node

_FAILURES: dict[type[BaseException], str] = {
    ZeroDivisionError: "division by zero",
    OverflowError: "integer overflow",
    TypeError: "no such overload",
}


class Program:
    """A compiled expression."""

    __slots__ = ("_compiled", "_functions", "names", "type")

    def __init__(self, checked: Checked) -> None:
        try:
            self._compiled = library().compile(checked.text)
        except ValueError as wrong:
            raise CompileError(f"not supported by this server: {wrong}") from None
        self._functions = {name: table()[name] for name in checked.functions}
        #: The variables that it speaks of.
        self.names = checked.names
        #: What it evaluates to, as far as is known: `bool`, `string`, `dyn`.
        self.type = checked.type.name

    def evaluate(self, bindings: Mapping[str, Any]) -> Any:
        """Its value: JSON, with datetimes, timedeltas and bytes. `EvaluationError` in cel-go's words where it fails.

        Of `bindings`, only the variables that it speaks of are read.
        """
        known = {name: bindings[name] for name in self.names if name in bindings}
        failures.last = ""
        try:
            return self._compiled.execute(library().Context(known, self._functions))
        except KeyError as missing:
            raise EvaluationError(f"no such key: {missing.args[0]}") from None
        except IndexError as wrong:
            raise EvaluationError(str(wrong)) from None
        except (ZeroDivisionError, OverflowError, TypeError) as wrong:
            raise EvaluationError(_FAILURES[type(wrong)]) from None
        except (RuntimeError, ValueError) as wrong:
            raise EvaluationError(failures.last or str(wrong)) from None


@lru_cache(maxsize=4096)
def _dynamic(text: str, variables: frozenset[str]) -> Program:
    return Program(check(text, dict.fromkeys(variables, DYN)))


def compile_expression(text: str, variables: Iterable[str]) -> Program:
    """An expression over variables of any type, as admission policies have them.

    `CompileError` for one that does not compile, or that speaks of another variable.
    """
    return _dynamic(text, frozenset(variables))


def of(text: str, node: Node, *, root: bool, optional_old: bool = False) -> Program:
    """The program of a schema node's rule or messageExpression. `CompileError` where it does not fit the schema."""
    held = node.programs
    key = (text, root, optional_old)
    if key not in held:
        held[key] = Program(check(text, variables(node, root=root, optional_old=optional_old)))
    program: Program = held[key]
    return program


def variables(node: Node, *, root: bool, optional_old: bool = False) -> dict[str, CelType]:
    """What a rule of a node may speak of."""
    self_type = of_node(node, root=root) or DYN
    return {"self": self_type, "oldSelf": optional_of(self_type) if optional_old else self_type}


def optional(value: Any) -> Any:
    """A value, or its absence, as CEL's optional."""
    engine = library()
    return engine.OptionalValue.none() if value is None else engine.OptionalValue.of(value)
