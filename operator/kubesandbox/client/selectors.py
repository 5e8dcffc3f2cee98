"""Label selectors, applied to labels that are at hand."""

from collections.abc import Mapping

from kubesandbox.client.resources import Object


def matches(selector: Object | None, labels: Mapping[str, str] | None) -> bool:
    """Whether a metav1.LabelSelector selects these labels. None selects nothing, an empty one everything."""
    if selector is None:
        return False
    labels = labels or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(requirement(expression, labels) for expression in selector.get("matchExpressions") or ())


def requirement(expression: Object, labels: Mapping[str, str]) -> bool:
    """One `{key, operator, values}`, with the operators of label selectors and of node selectors."""
    present = expression["key"] in labels
    value = labels.get(expression["key"], "")
    values = expression.get("values") or []
    match expression["operator"]:
        case "In":
            return present and value in values
        case "NotIn":
            return not present or value not in values
        case "Exists":
            return present
        case "DoesNotExist":
            return not present
        case "Gt":
            return present and _integer(value) > _integer(values[0])
        case "Lt":
            return present and _integer(value) < _integer(values[0])
        case other:
            raise ValueError(f"operator {other!r} is not one that Kubernetes knows")


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
