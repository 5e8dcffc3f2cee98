"""What may be wrong with a `metav1.LabelSelector` (apimachinery pkg/apis/meta/v1/validation)."""

from __future__ import annotations

from kubesandbox import metadata, names
from kubesandbox.objects import Json
from kubesandbox.schema import causes
from kubesandbox.schema.causes import Cause


def validate_selector(selector: Json, path: str) -> list[Cause]:
    """What is wrong with a `metav1.LabelSelector`."""
    found = metadata.labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        found += validate_expression(expression, f"{path}.matchExpressions[{index}]")
    return found


def validate_expression(expression: Json, path: str, *, compares: bool = False) -> list[Cause]:
    """What is wrong with one requirement; of nodes (`compares`) labels may be compared as numbers, too."""
    found: list[Cause] = []
    operator, key, values = expression.get("operator") or "", expression.get("key") or "", expression.get("values")
    if operator in {"In", "NotIn"}:
        if not values:
            text = "must be specified when `operator` is 'In' or 'NotIn'"
            found.append(causes.required(f"{path}.values", text))
    elif operator in {"Exists", "DoesNotExist"}:
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            found.append(causes.forbidden(f"{path}.values", text))
    elif compares and operator in {"Gt", "Lt"}:
        if len(values or ()) != 1:
            text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            found.append(causes.required(f"{path}.values", text))
    else:
        found.append(causes.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    found += [causes.invalid(f"{path}.key", key, text) for text in names.label_key(key)]
    for number, value in enumerate(values or ()):
        found += [causes.invalid(f"{path}.values[{number}]", value, text) for text in names.label_value(value)]
    return found
