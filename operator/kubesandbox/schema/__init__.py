"""Schemas of custom resources: defaults, pruning, validation and rules, with kube-apiserver's causes.

Pure functions on plain JSON values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubesandbox.schema.causes import Cause
from kubesandbox.schema.compiled import Schema, compile_schema
from kubesandbox.schema.structural import check_structural

if TYPE_CHECKING:
    from kubesandbox.schema.cel.programs import Program

__all__ = ["Cause", "Schema", "check_structural", "compile_expression", "compile_schema"]


def compile_expression(text: str, variables: Iterable[str]) -> Program:
    """A CEL expression over these variables, of any type; see `kubesandbox.schema.cel.programs`."""
    from kubesandbox.schema.cel import programs

    return programs.compile_expression(text, variables)
