"""What columns of built-in kinds are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kubesandbox.objects import Json, Object, dig
from kubesandbox.selectors import format_selector
from kubesandbox.tables import Cell, Column, Columns

NONE = "<none>"


def of_another(columns: Columns, convert: Callable[[Object], Object]) -> Columns:
    """Columns of objects that are first to be converted."""

    def shown(column: Column) -> Column:
        return replace(column, show=lambda obj: column.show(convert(obj)))

    return tuple(shown(column) for column in columns)


def path(name: str, *steps: str | int, default: Cell = "", kind: str = "string", priority: int = 0) -> Column:
    """A column that shows the value at a path."""

    def show(obj: Object) -> Cell:
        value = dig(obj, *steps)
        return default if value is None else value

    return Column(name, show, kind, priority)


def containers(*steps: str) -> tuple[Column, Column]:
    """The wide columns of a pod spec's containers and images."""

    def names(obj: Object) -> Cell:
        return ",".join(c.get("name", "") for c in dig(obj, *steps, "containers") or ())

    def images(obj: Object) -> Cell:
        return ",".join(c.get("image", "") for c in dig(obj, *steps, "containers") or ())

    return Column("Containers", names, priority=1), Column("Images", images, priority=1)


def selector_cell(obj: Object) -> Cell:
    """A workload's selector."""
    return format_selector(dig(obj, "spec", "selector"))


def labels_text(labels: Json) -> str:
    """Labels in one line."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE
