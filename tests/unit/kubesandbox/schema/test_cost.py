"""What rules cost: the figures are kube-apiserver v1.36.2's, read from its refusals of a CRD that repeats each rule."""

from __future__ import annotations

from typing import Any

import pytest

from kubesandbox.schema import check_structural
from kubesandbox.schema.cel import cost, programs
from kubesandbox.schema.cel.checker import check
from kubesandbox.schema.cel.sizes import declared
from kubesandbox.schema.node import read

TEXT, WORD, WHOLE = {"type": "string"}, {"type": "string", "maxLength": 10}, {"type": "integer"}


def listed(items: Any, most: int | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **({} if most is None else {"maxItems": most}), **more}


def mapped(values: Any, most: int | None = None) -> dict[str, Any]:
    bound = {} if most is None else {"maxProperties": most}
    return {"type": "object", "additionalProperties": values, **bound}


def held(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


SCHEMA = held(
    u=TEXT,
    s=WORD,
    t={"type": "string", "maxLength": 7},
    e={"type": "string", "enum": ["A", "Bcd"]},
    i=WHOLE,
    j=WHOLE,
    b={"type": "boolean"},
    n={"type": "number"},
    l=listed(WORD, 5),
    ul=listed(WORD),
    lu=listed(TEXT, 5),
    uu=listed(TEXT),
    li=listed(WHOLE, 9),
    lo=listed(held(a=WORD, b=WHOLE, c=listed(WORD, 3)), 4),
    m=mapped(WORD, 6),
    um=mapped(TEXT),
    mo=mapped(held(a=WORD, k=listed(WHOLE, 2)), 3),
    d={"type": "string", "format": "date-time"},
    du={"type": "string", "format": "duration"},
    by={"type": "string", "format": "byte", "maxLength": 40},
    x={"x-kubernetes-int-or-string": True},
    xl={"x-kubernetes-int-or-string": True, "maxLength": 5},
    o=held(a=WORD, b=held(c=TEXT)),
    pr={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    set=listed(WORD, 5, **{"x-kubernetes-list-type": "set"}),
)

COSTS = {
    "self.i == 5": 2,
    "self.i == self.j": 4,
    "self.b ? self.i == 1 : self.j == 2": 4,
    "has(self.i)": 1,
    "has(self.i) && self.i > 0": 4,
    "!has(self.o) || has(self.o.a)": 4,
    "has(self.o.b.c) || self.b": 5,
    "self.s == 'abc'": 3,
    "self.s == self.t": 7,
    "self.u == 'abc'": 3,
    "self.u == self.u": 314577,
    "self.s in ['a','b','c']": 15,
    "self.s in self.l": 9,
    "self.s in self.m": 5,
    "self.e == 'A'": 3,
    "self.e in ['A','B']": 14,
    "self.s + self.t == 'abc'": 12,
    "self.s.startsWith('abc')": 3,
    "self.s.contains('abcdefghijklmn')": 10,
    "self.s.contains(self.t)": 16,
    "self.s.matches('^[a-z]+$')": 12,
    "self.u.matches('^[a-z]{1,5}$')": 943721,
    "self.s.matches(r'^\\\\d+$')": 12,
    "self.l.all(x, x == 'a')": 28,
    "self.l.exists(x, x == 'a')": 33,
    "self.l.exists_one(x, x == 'a')": 24,
    "self.l.filter(x, x == 'a').size() == 1": 90,
    "self.l.map(x, x + 'b').exists(y, y == 'ab')": 129,
    "self.l.map(x, x != 'c', x + 'b').exists(y, y == 'ab')": 139,
    "self.l.all(x, self.l.all(y, x == y))": 258,
    "self.li.all(x, x > 3)": 48,
    "self.li.sum() > 5": 12,
    "self.li.max() > 5": 12,
    "self.l.max() == 'a'": 28,
    "self.l.isSorted()": 27,
    "self.l.indexOf('a') == 1": 28,
    "self.s.indexOf('a') == 1": 7,
    "self.lo.all(x, x.a == 'b' && x.b > 2)": 39,
    "self.lo.all(x, has(x.c) && x.c.all(y, y == x.a))": 1631,
    "self.lo.exists(x, x.c.exists(y, y.contains('q')))": 139,
    "self.lo.map(x, x.a).isSorted()": 7378697629483821129,
    "self.lo.map(x, x.a) == ['a']": 80,
    "self.lo.filter(x, x.b > 2).all(z, z.a == 'q')": 102,
    "self.lo[0].a == 'a'": 5,
    "self.l[0] == 'a'": 4,
    "self.m['a'] == 'b'": 4,
    "self.m.all(k, k == 'a')": 27,
    "self.m.all(k, self.m[k] == 'a')": 51,
    "self.mo.all(k, self.mo[k].a == 'a')": 30,
    "self.mo.all(k, self.mo[k].k.all(z, z > 1))": 60,
    "self.um.all(k, k != '')": 1572863,
    "self.ul.all(x, x != '')": 4194303,
    "self.uu.all(x, x != '')": 4194303,
    "self.uu.all(x, x.matches('a'))": 329857577778,
    "self.uu.all(x, self.uu.all(y, x != y))": 345881509131242703,
    "self.d == self.d": 8,
    "self.du == duration('5s')": 4,
    "self.by == b'abc'": 3,
    "string(self.by) == 'abc'": 7,
    "bytes(self.s) == b'abc'": 7,
    "type(self.x) == int ? self.x > 1 : self.x == 'a'": 7,
    "self.xl == 'abc'": 3,
    "self.x == 5": 3,
    "type(self.x) == string": 4,
    "self.s.lowerAscii() == 'a'": 7,
    "self.s.upperAscii().contains('AA')": 10,
    "self.s.trim() == self.t": 11,
    "self.s.replace('a','bb') == 'q'": 11,
    "self.s.replace('a','bb').size() == 1": 12,
    "self.s.replace('','b') == self.u": 21,
    "self.s.replace('abc','b') == self.u": 16,
    "self.s.replace(self.t,'b') == self.u": 23,
    "self.s.replace(self.t,self.u) == self.u": 314589,
    "self.s.split(',').size() == 2": 12,
    "self.s.split(',').all(x, x != '')": 171,
    "self.s.split(',', 3).all(x, x.startsWith('q'))": 26,
    "self.l.join(',') == 'q'": 24,
    "self.l.join() == self.u": 44,
    "self.s.substring(1) == 'a'": 7,
    "self.s.substring(1,3) == self.u": 12,
    "self.s.charAt(1) == 'a'": 4,
    "self.s.find('[0-9]+') == '1'": 13,
    "self.s.findAll('[0-9]+').size() == 1": 14,
    "self.s.findAll('[0-9]+').all(x, x == 'b')": 173,
    "self.s.lastIndexOf('a') == 1": 7,
    "url(self.s).getHost() == 'a'": 8,
    "url(self.s) == url(self.t)": 14,
    "quantity(self.s).isGreaterThan(quantity('1'))": 8,
    "isQuantity(self.s) && quantity(self.s) == quantity(self.t)": 18,
    "quantity(self.s).compareTo(quantity(self.t)) < 0": 13,
    "ip(self.s).family() == 4": 8,
    "ip(self.s) == ip(self.t)": 12,
    "cidr(self.s).containsIP(self.t)": 15,
    "cidr(self.s).containsIP(ip(self.t))": 15,
    "cidr(self.s).containsCIDR(self.t)": 18,
    "cidr(self.s).ip() == ip(self.t)": 13,
    "cidr(self.s).prefixLength() > 3": 8,
    "semver(self.s).major() > 1": 8,
    "semver(self.s) == semver(self.t)": 12,
    "semver(self.s).isLessThan(semver('1.0.0'))": 8,
    "sets.contains(self.l, ['a'])": 18,
    "sets.equivalent(self.l, self.lu)": 55,
    "sets.intersects(self.l, self.l)": 30,
    "self.l == ['a','b']": 13,
    "self.l + self.lu == ['a']": 16,
    "(self.l + self.lu).all(x, x == 'q')": 46,
    "[self.s, self.t].all(x, x == self.u)": 27,
    "['a','bcd'].exists(x, x == self.s)": 25,
    "{'a': self.s}['a'] == self.u": 39,
    "{'a': 1, 'b': 2}.all(k, k == self.s)": 43,
    "self.o.a == 'abc'": 4,
    "self.o.b.c == self.s": 10,
    "has(self.o.b) && self.o.b.c.matches('a')": 314579,
    "self.?s.orValue('q') == 'q'": 4,
    "self.?o.a.orValue('q') == 'q'": 4,
    "self.?s.hasValue()": 3,
    "self.l[?0].orValue('q') == 'q'": 5,
    "self.?i.orValue(3) == 3": 4,
    "self.?s.optMap(x, x + 'a').orValue('') == 'b'": 1844674407370955284,
    "self.?s.optFlatMap(x, optional.of(x)).hasValue()": 19,
    "optional.of(self.s).value() == self.u": 314579,
    "optional.none().hasValue()": 2,
    "dyn(self.s) == dyn(self.t)": 9,
    "self.i + self.j * 2 - 4 == 10 / 2 % 3": 10,
    "string(self.i) == '5'": 4,
    "string(self.d) == 'q'": 4,
    "int('5') == self.i": 3,
    "self.l.distinct().size() == 2": 65,
    "self.l.reverse().size() == 2": 20,
    "self.li.sort() == [1]": 186,
    "self.l.sort() == ['a']": 77,
    "self.l.slice(0,2) == ['a']": 26,
    "lists.range(3).all(x, x < self.i)": 36,
    "[[1],[2]].flatten() == [1]": 54,
    "self.lo.sortBy(x, x.b).size() == 1": 126,
    "self.set == ['a']": 13,
    "self.set + ['q'] == self.set": 16,
    "self.set.all(x, x.size() < 5)": 33,
    "'%s-%d'.format([self.s, self.i]) == 'a'": 16,
    "strings.quote(self.s) == 'a'": 7,
    "self.s == (self.b ? self.t : self.u)": 10,
    "(self.b ? self.l : self.lu).all(x, x == 'q')": 25,
    "(self.b ? [self.s] : [self.u]).all(x, x == self.u)": 21,
    "self.l.map(x, [x]).all(y, y[0] == 'q')": 159,
    "self.l.map(x, {'a': x}).all(y, y['a'] == self.u)": 1573129,
    "self.u.split(',').all(x, x.matches('a'))": 16357779,
    "self.uu.join(',').contains('q')": 659706137808,
    "self.l.filter(x, x != 'b').map(y, y + y).join(',') == self.u": 1844674407371270008,
    "self.l.all(x, x.size() < 5) && self.l.exists(y, y == 'q') && self.u != 'a'": 69,
    "self.lo.all(x, self.lo.exists_one(y, y.a == x.a))": 191,
    "oldSelf.s == self.s": 8,
    "self.l.all(x, x in oldSelf.l)": 58,
    "self.i in [1,2,3]": 15,
    "self.i in self.li": 13,
    'self.s == "a\\\\nb\\\\u0041"': 3,
    "size(self.s + 'abc') > 3": 9,
    "self.l.first().value() == self.u": 314579,
    "self.l.last().orValue('a') == self.u": 314579,
    "self.l.all(x, self.m[x] == 'b')": 43,
    "self.pr == self.pr": 4,
    "1 == 1": 1,
    "'abc' == 'abd'": 1,
    "self == oldSelf": 2,
    "self.o == oldSelf.o": 4,
    "self.lo == oldSelf.lo": 5,
    "self.m == oldSelf.m": 5,
    "self.l == oldSelf.l": 5,
    "self.b == true": 2,
    "self.l.exists(x, x == 'a') != self.b": 35,
    "self.lo.map(x, x.c).flatten() == ['a']": 95,
    "self.l.all(i, x, x == 'a')": 28,
    "self.m.all(k, v, v == k)": 33,
    "self.m.exists(k, v, v == k)": 39,
    "self.m.transformList(k, v, v + k).size() == 1": 123,
}


@pytest.mark.parametrize("rule", COSTS)
def test_a_rule_costs_what_it_costs_on_kube_apiserver(rule: str) -> None:
    node, root = read(SCHEMA), declared(SCHEMA)
    assert root is not None
    assert cost.of(check(rule, programs.variables(node, root=False)), root) == COSTS[rule]


def told(schema: dict[str, Any]) -> list[tuple[str, str]]:
    found = check_structural(held(spec=schema), "s")
    return [(cause.field.removeprefix("s.properties[spec]"), cause.message) for cause in found]


def ruled(schema: dict[str, Any], *rules: str, **more: str) -> dict[str, Any]:
    return {**schema, "x-kubernetes-validations": [{"rule": rule, **more} for rule in rules]}


HINT = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are"


def test_a_rule_that_may_cost_too_much_is_refused_with_how_much_too_much() -> None:
    found = told(held(l=listed(ruled(TEXT, "self == 'abcdefghijklmno'"), 4_000_000)))
    where = ".properties[l].items.x-kubernetes-validations[0].rule"
    assert found == [(where, f"Forbidden: estimated rule cost exceeds budget by factor of 1.200000x {HINT} declared)")]


def test_what_is_under_a_list_without_a_bound_is_counted_as_often_as_a_request_holds_it() -> None:
    found = told(held(l=listed(ruled(held(a=TEXT), "self.a.matches('^[a-z]+$')"))))
    where = ".properties[l].items.x-kubernetes-validations[0].rule"
    assert [place for place, _ in found] == [where, where, "s"]
    assert "more than 100x" in found[0][1]


def test_rules_that_are_each_cheap_enough_may_together_cost_too_much() -> None:
    rules = ["self.all(x, x != 'a')"] * 19
    found = told(held(l=ruled(listed(WORD, 1_200_000), *rules)))
    assert sum("contributed to estimated rule cost total" in said for _, said in found) == 4
    assert not any("estimated rule cost exceeds" in said for _, said in found)
    assert found[-1][0] == "s"
    assert found[-1][1].startswith("Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3")


def test_a_message_may_cost_too_much_too() -> None:
    costly = "self.map(x, x + x).join(',')"
    found = told(held(l=ruled(listed(TEXT), "size(self) < 5", messageExpression=costly)))
    assert [where.rsplit(".", 1)[-1] for where, _ in found] == ["messageExpression", "messageExpression", "s"]
    assert "estimated messageExpression cost exceeds budget by factor of more than 100x" in found[0][1]


def test_rules_within_bounds_are_taken() -> None:
    schema = held(l=listed(WORD, 100), m=mapped(WORD, 20))
    rules = ("self.l.all(x, self.l.exists(y, x == y))", "self.m.all(k, self.m[k].matches('^[a-z]+$'))")
    assert told(ruled(schema, *rules)) == []
