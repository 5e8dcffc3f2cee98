"""A policy's expressions on one write (apiserver's admission/plugin/policy/validating/validator.go)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesandbox.objects import Json, Object
from kubesandbox.reviews import user_info
from kubesandbox.schema.cel.errors import CompileError, EvaluationError

if TYPE_CHECKING:
    from kubesandbox.policies.matching import Attributes

VARIABLES = ("object", "oldObject", "request", "params", "namespaceObject", "variables")
MESSAGE_LIMIT = 5 * 1024


@dataclass(frozen=True)
class Denial:
    """What one validation says against a write; `error` where it could not be evaluated."""

    message: str
    reason: str = "Invalid"
    error: bool = False


def bindings(about: Attributes, params: Json) -> dict[str, Json]:
    """The variables of an expression, `variables` aside."""
    request, kind = about.request, about.kind
    resource = {"group": kind.group, "version": kind.version, "resource": kind.plural}
    gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    asked: Object = {
        "kind": gvk,
        "resource": resource,
        "requestKind": gvk,
        "requestResource": resource,
        "name": about.name,
        "operation": about.operation,
        "userInfo": {"username": "", **user_info(request.user)},
        "dryRun": request.dry_run,
    }
    if request.subresource:
        asked["subResource"] = asked["requestSubResource"] = request.subresource
    namespace = None
    if request.namespace:
        asked["namespace"] = request.namespace
        found = request.cluster.store.table("", "namespaces").get("", request.namespace)
        namespace = found.object if found else None
    return {
        "object": about.obj,
        "oldObject": about.old,
        "request": asked,
        "params": params,
        "namespaceObject": namespace,
    }


class Expressions:
    """A policy's spec, evaluated on one write with one parameter."""

    def __init__(self, spec: Object, about: Attributes, params: Json) -> None:
        self._spec = spec
        self._bindings = bindings(about, params)
        self._failed: dict[str, str] = {}

    def evaluate(self, text: str) -> Json:
        """An expression's value; raises EvaluationError, also for one that does not compile."""
        from kubesandbox.schema.cel.programs import compile_expression

        try:
            return compile_expression(text, VARIABLES).evaluate(self._bindings)
        except CompileError as error:
            raise EvaluationError(f"compilation error: {error}") from None
        except EvaluationError as error:
            missing = str(error).removeprefix("no such key: ")
            if missing in self._failed:
                raise EvaluationError(
                    f'composited variable "{missing}" fails to evaluate: {self._failed[missing]}'
                ) from None
            raise

    def conditions_hold(self) -> bool:
        """Whether all matchConditions are true; raises EvaluationError where none is false and one fails."""
        failures: list[str] = []
        for condition in self._spec.get("matchConditions") or ():
            try:
                if self.evaluate(condition["expression"]) is not True:
                    return False
            except EvaluationError as error:
                failures.append(f"match condition {condition['name']!r} failed: {error}")
        if failures:
            raise EvaluationError(", ".join(failures))
        return True

    def denials(self) -> Iterator[Denial]:
        """What the policy says against the write."""
        try:
            if not self.conditions_hold():
                return
        except EvaluationError as error:
            yield Denial(str(error), error=True)
            return
        values: Object = {}
        self._bindings["variables"] = values
        for variable in self._spec.get("variables") or ():
            try:
                values[variable["name"]] = self.evaluate(variable["expression"])
            except EvaluationError as error:
                self._failed[variable["name"]] = str(error)
        for validation in self._spec.get("validations") or ():
            denial = self._validate(validation)
            if denial is not None:
                yield denial

    def _validate(self, validation: Object) -> Denial | None:
        expression = validation["expression"].strip()
        try:
            if self.evaluate(validation["expression"]) is True:
                return None
        except EvaluationError as error:
            return Denial(f"expression '{expression}' resulted in error: {error}", error=True)
        message = self._message(validation.get("messageExpression") or "") or (validation.get("message") or "").strip()
        return Denial(message or f"failed expression: {expression}", validation.get("reason") or "Invalid")

    def _message(self, text: str) -> str:
        if not text:
            return ""
        try:
            value = self.evaluate(text)
        except EvaluationError:
            return ""  # the message falls back to the plain one
        message = value.strip() if isinstance(value, str) else ""
        return "" if "\n" in message or len(message.encode()) > MESSAGE_LIMIT else message
