"""What goes wrong with an expression: it does not compile, or it fails on a value."""

from __future__ import annotations


class CompileError(ValueError):
    """The expression cannot be used; the text says why. kube-apiserver refuses the CRD or the policy."""


class InstantiationError(CompileError):
    """The expression fits all types, and still no program can be made of it."""


class EvaluationError(ValueError):
    """The expression failed on these values; the text is cel-go's: `no such key: a`."""

    def of_rule(self, rule: str) -> str:
        """As kube-apiserver tells it of a CRD's rule."""
        if str(self).startswith("no such overload"):
            did_not = "call arguments did not match a supported operator, function or macro signature"
            return f"'{self}': {did_not} for rule: {rule}"
        return f"{self} evaluating rule: {rule}"
