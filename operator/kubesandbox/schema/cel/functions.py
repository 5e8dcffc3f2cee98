"""The functions of Kubernetes' CEL that the library lacks, by the names that the checker writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from kubesandbox.schema.cel.errors import EvaluationError


class Failures:
    """The library tells of a failed function only that it failed: what it said is kept here, for the evaluation."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = ""


failures = Failures()


@cache
def table() -> Mapping[str, Callable[..., Any]]:
    """Every function, ready for the library."""
    from kubesandbox.schema.cel import lists, network, quantities, strings, values_of

    found: dict[str, Callable[..., Any]] = {}
    for module in (strings, lists, network, quantities, values_of):
        for name, function in module.FUNCTIONS.items():
            found[f"k8s_{name.replace('.', '_')}"] = _kept(function)
    return found


def _kept(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        try:
            return function(*args)
        except EvaluationError as failure:
            failures.last = str(failure)
            raise
        except (TypeError, AttributeError, ValueError):
            failures.last = "no such overload"
            raise

    return call
