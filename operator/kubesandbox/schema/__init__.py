"""Schemas of custom resources: defaults, pruning, validation and rules, with kube-apiserver's causes.

Pure functions on plain JSON values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kubesandbox.schema.causes import Cause

if TYPE_CHECKING:
    from kubesandbox.schema.cel.programs import Program
    from kubesandbox.schema.compiled import Schema

__all__ = ["Cause", "check_structural", "compile_expression", "compile_schema"]


def compile_schema(schema: Mapping[str, Any]) -> Schema:
    """A CRD version's schema, made ready for its objects; see `kubesandbox.schema.compiled`."""
    from kubesandbox.schema import compiled

    return compiled.compile_schema(schema)


def compile_expression(text: str, variables: Iterable[str]) -> Program:
    """A CEL expression over these variables, of any type; see `kubesandbox.schema.cel.programs`."""
    from kubesandbox.schema.cel import programs

    return programs.compile_expression(text, variables)


def check_structural(schema: Mapping[str, Any], path: str, *, status: bool = False) -> list[Cause]:
    """Every cause to refuse a CRD with this schema; see `kubesandbox.schema.structural`."""
    from kubesandbox.schema import structural

    return structural.check_structural(schema, path, status=status)
