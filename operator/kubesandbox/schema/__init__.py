"""Schemas of custom resources: defaults, pruning, validation and rules, with kube-apiserver's causes.

Pure functions on plain JSON values.
"""

from kubesandbox.schema.causes import Cause
from kubesandbox.schema.compiled import Schema, compile_schema

__all__ = ["Cause", "Schema", "compile_schema"]
