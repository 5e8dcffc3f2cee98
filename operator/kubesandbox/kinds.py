"""Which kinds are served, under which names and versions, and who knows their rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kubesandbox.errors import qualified

if TYPE_CHECKING:
    from kubesandbox.objects import Object
    from kubesandbox.strategy import Strategy

STANDARD_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Subresource:
    """`plural/name` below a kind: its own kind where it answers with one (Scale), and its verbs."""

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


STATUS = Subresource("status", ("get", "patch", "update"))


@dataclass(eq=False)
class Kind:
    """One kind in one version, as discovery shows it."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    strategy: Strategy
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = STANDARD_VERBS
    subresources: dict[str, Subresource] = field(default_factory=dict)
    list_kind: str = ""
    storage_version: str = ""  # the version objects are kept in
    convert: Callable[[Object], Object] | None = None  # from the kept version to this one
    restore: Callable[[Object], Object] | None = None  # from this version to the kept one
    stored: tuple[str, str] | None = None  # whose table it reads (events are served by two groups)

    def __post_init__(self) -> None:
        self.list_kind = self.list_kind or f"{self.kind}List"
        self.storage_version = self.storage_version or self.version

    @property
    def api_version(self) -> str:
        """`group/version`, or the bare version in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`plural.group`, as errors name it."""
        return qualified(self.plural, self.group)

    @property
    def table_key(self) -> tuple[str, str]:
        """Where its objects are kept."""
        return self.stored or (self.group, self.plural)


class Kinds:
    """The kinds that are served now; custom resource definitions come and go."""

    def __init__(self) -> None:
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self.generation = 0  # moves with every change, for who caches what is derived from the kinds

    def add(self, kind: Kind) -> None:
        """Serve a kind, in place of what had its path."""
        self._by_path[kind.group, kind.version, kind.plural] = kind
        self.generation += 1

    def remove(self, group: str, plural: str) -> None:
        """Serve a resource no longer, in any version."""
        for key in [key for key in self._by_path if key[0] == group and key[2] == plural]:
            del self._by_path[key]
        self.generation += 1

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind at a path."""
        return self._by_path.get((group, version, plural))

    def get(self, group: str, version: str, plural: str) -> Kind:
        """The kind at a path that is always served."""
        return self._by_path[group, version, plural]

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        """The kind of an object's apiVersion and kind."""
        group, _, version = api_version.rpartition("/")
        return next((k for k in self if k.group == group and k.version == version and k.kind == kind), None)

    def any_version(self, group: str, plural: str) -> Kind | None:
        """A resource in the version it is kept in, or in any."""
        found = [k for k in self if k.group == group and k.plural == plural]
        return next((k for k in found if k.version == k.storage_version), found[0] if found else None)

    def resources(self) -> list[Kind]:
        """Every resource once, in the version it is kept in."""
        chosen: dict[tuple[str, str], Kind] = {}
        for kind in self:
            if kind.stored is None and (kind.table_key not in chosen or kind.version == kind.storage_version):
                chosen[kind.table_key] = kind
        return list(chosen.values())

    def __iter__(self) -> Iterator[Kind]:
        return iter(list(self._by_path.values()))
