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
        at, operator, values = f"{path}.matchExpressions[{index}]", expression.get("operator"), expression.get("values")
        if operator in {"In", "NotIn"}:
            if not values:
                text = "must be specified when `operator` is 'In' or 'NotIn'"
                found.append(causes.required(f"{at}.values", text))
        elif operator in {"Exists", "DoesNotExist"}:
            if values:
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                found.append(causes.forbidden(f"{at}.values", text))
        else:
            found.append(causes.invalid(f"{at}.operator", operator, "not a valid selector operator"))
        key = expression.get("key") or ""
        found += [causes.invalid(f"{at}.key", key, text) for text in names.label_key(key)]
        for number, value in enumerate(values or ()):
            found += [causes.invalid(f"{at}.values[{number}]", value, text) for text in names.label_value(value)]
    return found
