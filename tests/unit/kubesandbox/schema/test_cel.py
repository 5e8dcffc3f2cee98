"""Expressions: what they evaluate to, and how those that cannot be are refused."""

from typing import Any

import pytest

from kubesandbox.schema import compile_expression
from kubesandbox.schema.cel.errors import CompileError, EvaluationError
from kubesandbox.schema.cel.functions import table
from kubesandbox.schema.cel.signatures import signatures

SELF: dict[str, Any] = {"a": 1, "b": 2.5, "l": [3, 1, 2], "m": {"x": "y"}, "n": None, "s": "a-b-c", "x-y": 1}


def value(text: str) -> Any:
    return compile_expression(text, ["self"]).evaluate({"self": SELF})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("self.l.all(x, x > 0) && self.l.exists_one(x, x == 2)", True),
        ("self.l.map(x, x > 1, x * 2)", [6, 4]),
        ("has(self.z) || self.?z.orValue(5) == 5", True),
        ("self.?m.?x.orValue('none') + self.?m.zz.orValue('none')", "ynone"),
        ("self.m[?'x'].hasValue() && !self.l[?7].hasValue()", True),
        ("self.?a.optMap(v, v + 1).orValue(0)", 2),
        ("self.l.sum() + self.l.max() - self.l.min()", 8),
        ("self.l.isSorted() || [1, 2].isSorted()", True),
        ("self.l.indexOf(1) + self.l.lastIndexOf(9)", 0),
        ("self.l.sort() == [1, 2, 3] && self.l.sortBy(x, -x)[0] == 3", True),
        ("self.s.split('-').map(x, x.upperAscii()).join('+')", "A+B+C"),
        ("self.s.replace('-', '.') + self.s.substring(2) + self.s.substring(0, 1)", "a.b.cb-ca"),
        ("self.s.indexOf('-') + self.s.lastIndexOf('-')", 4),
        ("' x '.trim().charAt(0)", "x"),
        ("'abc123'.find('[0-9]+') + 'a1b2'.findAll('[0-9]')[1]", "1232"),
        ("'%s is %d of %.2f (%x)'.format([self.s, self.a, self.b, 255])", "a-b-c is 1 of 2.50 (ff)"),
        ("quantity('1Gi').isGreaterThan(quantity('1Mi')) && quantity('1000m') == quantity('1')", True),
        ("quantity('1').add(quantity('500m')).asApproximateFloat()", 1.5),
        ("cidr('10.0.0.0/8').containsIP('10.1.2.3') && ip('::1').family() == 6", True),
        ("url('https://u@a.example.com:80/x?y=1&y=2').getHostname()", "a.example.com"),
        ("isURL('nothing') || isIP('1.2.3') || isQuantity('1X') || isCIDR('1.2.3.4')", False),
        ("semver('1.2.3').isLessThan(semver('1.10.0-rc.1'))", True),
        ("sets.contains(self.l, [1, 2]) && sets.intersects([1], [1, 2])", True),
        ("string(timestamp('2020-01-01T00:00:00Z') + duration('1h'))", "2020-01-01T01:00:00Z"),
        ("type(self.a) == int && type(self.s) == string", True),
        ("'a' in ['a', 'b'] && 'x' in self.m && self['x-y'] == 1", True),
        ("self.a > 0 ? 'yes' : 'no'", "yes"),
        ("-self.a == -1 && !(self.a == 2)", True),
        ("self.s.matches('^[a-c-]+$') && \"it's\".size() == 4", True),
        ("[[1, 2], [3]].flatten().size() + [1, 1].distinct().size()", 4),
        ("self.n == null", True),
        ("self.l.all(i, v, v > 0 && i < 3) && self.l.exists(i, v, i == 1 && v == 1)", True),
        ("self.m.existsOne(k, v, k == 'x' && v == 'y')", True),
        ("self.l.transformList(i, v, v > 1, v * 10 + i)", [30, 22]),
        ("self.m.transformMap(k, v, v + k)['x']", "yx"),
        ("self.m.transformMapEntry(k, v, {v: k})['y']", "x"),
        ("'%s=%d'.format(['a', 1])", "a=1"),
        ("timestamp('2020-01-01T23:30:00Z').getDate('+01:00')", 2),
        ("timestamp('2020-07-01T12:00:00Z').getHours('America/New_York')", 8),
        ("optional.unwrap([self.?a, self.?z])", [1]),
    ],
)  # fmt: skip
def test_it_evaluates(text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("self.z", "no such key: z"),
        ("self.l[9]", "index out of bounds: 9"),
        ("self.a / 0 == 1", "division by zero"),
        ("self.a + self.s", "no such overload"),
        ("'a'.substring(2)", "index out of range: 2"),
        ("optional.none().value()", "optional.none() dereference"),
    ],
)
def test_it_fails_in_cel_gos_words(text: str, failure: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        value(text)
    assert failure in str(raised.value) or str(raised.value).startswith("invalid substring range")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("foo", "ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo\n | ^"),
        ("self.nope(1)", "undeclared reference to 'nope'"),
        ("1 + 'a'", "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'"),
        ("'a'.startsWith(1)", "found no matching overload for 'startsWith' applied to 'string.(int)'"),
        ("1 == 1.0", "found no matching overload for '_==_' applied to '(int, double)'"),
        ("[1, 'a']", "expected type 'int' but found 'string'"),
        ("1.all(x, x)", "expression of type 'int' cannot be range of a comprehension"),
        ("self.a ==", "Syntax error: mismatched input '<EOF>'"),
        ("self.a = 1", "token recognition error at: '= '"),
        ("(1", "missing ')' at '<EOF>'"),
        ("has(self)", "invalid argument to has() macro"),
        ("self.l.exists(i, 1, i > 1)", "argument must be a simple name"),
        ("self.s.find('[') == ''", "error parsing regexp: missing closing ]: `[`"),
        ("duration('5x') > duration('5s')", "invalid duration argument"),
        ("{?'a': self.?s}.size() == 1", "not supported here"),
        ("authorizer.path('/x')", "undeclared reference to 'authorizer'"),
    ],
)
def test_it_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(CompileError) as raised:
        compile_expression(text, ["self"])
    assert wrong in str(raised.value)


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(CompileError) as raised:
        compile_expression("foo && bar", [])
    assert str(raised.value).count("ERROR") == 2


def test_an_expression_knows_the_variables_it_speaks_of() -> None:
    program = compile_expression("object.spec.x == params.x && object.l.all(v, v > 0)", ["object", "params", "request"])
    assert program.names == {"object", "params"}


def test_what_is_not_spoken_of_is_not_read() -> None:
    assert compile_expression("object.a == 1", ["object", "request"]).evaluate({"object": {"a": 1}}) is True


def test_every_function_that_is_declared_is_there() -> None:
    declared = {s.name for overloads in signatures().values() for s in overloads if not s.native}
    written = {f"k8s_{name.replace('.', '_')}" for name in declared}
    assert written - set(table()) == set()
    assert len(declared) > 60
