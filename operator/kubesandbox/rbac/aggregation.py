"""Aggregated ClusterRoles: their rules are those of the ClusterRoles that their selectors match."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesandbox.objects import Object, clone, dig
from kubesandbox.rbac.authorizer import GROUP
from kubesandbox.selectors import Selector, from_struct
from kubesandbox.store import Event
from kubesandbox.tasks import Soon

if TYPE_CHECKING:
    from kubesandbox.cluster import Cluster

KEY = (GROUP, "clusterroles")


class Aggregation:
    """Keeps the rules of aggregated ClusterRoles."""

    def __init__(self, cluster: Cluster) -> None:
        self._table = cluster.store.table(*KEY)
        self._soon: Soon[None] = Soon(self._sync)
        self._table.listeners.append(self._notice)
        self._sync(None)

    def _notice(self, event: Event) -> None:
        before, after = event.previous.object if event.previous else {}, event.version.object
        relevant = ("rules", "aggregationRule")
        if (
            event.type != "MODIFIED"
            or any(before.get(k) != after.get(k) for k in relevant)
            or (dig(before, "metadata", "labels") != dig(after, "metadata", "labels"))
        ):
            self._soon.add(None)

    def _sync(self, _: None) -> None:
        for version in list(self._table.scan()):
            role = version.object
            selectors = dig(role, "aggregationRule", "clusterRoleSelectors")
            if not selectors:
                continue
            rules = self._rules(role, [from_struct(selector) for selector in selectors])
            if rules != (role.get("rules") or []):
                changed = clone(role)
                changed["rules"] = rules
                self._table.put(changed)

    def _rules(self, role: Object, selectors: list[Selector | None]) -> list[Object]:
        rules: list[Object] = []
        for version in self._table.scan():
            other = version.object
            labels = other["metadata"].get("labels") or {}
            if other["metadata"]["name"] == role["metadata"]["name"]:
                continue
            if any(selector is not None and selector.matches(labels) for selector in selectors):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
        return [clone(rule) for rule in rules]
