"""What functions there are in kube-apiserver's CEL (v1.36), and on which types. A capital letter stands for any type.

`string.find(string) string` is a method, `size(string) int` a function. From cel-go's standard library and its
extensions for strings, sets, lists and optionals, and from apiserver's own libraries.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from kubesandbox.schema.cel.types import CelType

#: The library knows these by itself. A trailing `()` of a method is written with its receiver in front.
_NATIVE = """
size(string) int | size(bytes) int | size(list(A)) int | size(map(A,B)) int
string.size() int | bytes.size() int | list(A).size() int | map(A,B).size() int
string.contains(string) bool | string.startsWith(string) bool | string.endsWith(string) bool
string.matches(string) bool | matches(string,string) bool
int(int) int | int(uint) int | int(double) int | int(string) int | int(timestamp) int
uint(uint) uint | uint(int) uint | uint(double) uint | uint(string) uint
double(double) double | double(int) double | double(uint) double | double(string) double
bytes(bytes) bytes | bytes(string) bytes
duration(duration) duration | duration(string) duration
timestamp(timestamp) timestamp | timestamp(string) timestamp | timestamp(int) timestamp
dyn(A) dyn | type(A) type
timestamp.getFullYear() int | timestamp.getMonth() int | timestamp.getDayOfYear() int
timestamp.getDayOfMonth() int | timestamp.getDate() int | timestamp.getDayOfWeek() int
timestamp.getHours() int | timestamp.getMinutes() int | timestamp.getSeconds() int | timestamp.getMilliseconds() int
duration.getHours() int | duration.getMinutes() int | duration.getSeconds() int | duration.getMilliseconds() int
optional.of(A) optional(A) | optional.none() optional(A)
optional(A).hasValue() bool | optional(A).value() A | optional(A).orValue(A) A | optional(A).or(optional(A)) optional(A)
"""

#: These are ours, in `functions`.
_OURS = """
string(string) string | string(int) string | string(uint) string | string(double) string | string(bool) string
string(bytes) string | string(timestamp) string | string(duration) string
string(ip) string | string(cidr) string
bool(bool) bool | bool(string) bool
string.charAt(int) string | string.indexOf(string) int | string.indexOf(string,int) int
string.lastIndexOf(string) int | string.lastIndexOf(string,int) int
string.lowerAscii() string | string.upperAscii() string | string.trim() string
string.replace(string,string) string | string.replace(string,string,int) string
string.split(string) list(string) | string.split(string,int) list(string)
string.substring(int) string | string.substring(int,int) string
list(string).join() string | list(string).join(string) string
string.format(list(dyn)) string | strings.quote(string) string
string.find(string) string | string.findAll(string) list(string) | string.findAll(string,int) list(string)
list(A).indexOf(A) int | list(A).lastIndexOf(A) int
list(A).distinct() list(A) | list(A).reverse() list(A)
list(A).slice(int,int) list(A) | list(A).flatten() list(dyn) | lists.range(int) list(int)
list(A).first() optional(A) | list(A).last() optional(A)
sets.contains(list(A),list(A)) bool | sets.equivalent(list(A),list(A)) bool | sets.intersects(list(A),list(A)) bool
optional.ofNonZeroValue(A) optional(A)
optional.unwrap(list(optional(A))) list(A) | list(optional(A)).unwrapOpt() list(A)
timestamp.getFullYear(string) int | timestamp.getMonth(string) int | timestamp.getDayOfYear(string) int
timestamp.getDayOfMonth(string) int | timestamp.getDate(string) int | timestamp.getDayOfWeek(string) int
timestamp.getHours(string) int | timestamp.getMinutes(string) int | timestamp.getSeconds(string) int
timestamp.getMilliseconds(string) int
url(string) url | isURL(string) bool
url.getScheme() string | url.getHost() string | url.getHostname() string | url.getPort() string
url.getEscapedPath() string | url.getQuery() map(string,list(string))
ip(string) ip | isIP(string) bool | ip.isCanonical(string) bool | ip.family() int | ip.isUnspecified() bool
ip.isLoopback() bool | ip.isLinkLocalMulticast() bool | ip.isLinkLocalUnicast() bool | ip.isGlobalUnicast() bool
cidr(string) cidr | isCIDR(string) bool | cidr.containsIP(string) bool | cidr.containsIP(ip) bool
cidr.containsCIDR(string) bool | cidr.containsCIDR(cidr) bool | cidr.ip() ip | cidr.prefixLength() int
cidr.masked() cidr
quantity(string) quantity | isQuantity(string) bool | quantity.sign() int | quantity.isInteger() bool
quantity.asInteger() int | quantity.asApproximateFloat() double
quantity.add(quantity) quantity | quantity.add(int) quantity | quantity.sub(quantity) quantity
quantity.sub(int) quantity | quantity.isGreaterThan(quantity) bool | quantity.isLessThan(quantity) bool
quantity.compareTo(quantity) int
semver(string) semver | semver(string,bool) semver | isSemver(string) bool | isSemver(string,bool) bool
semver.isGreaterThan(semver) bool | semver.isLessThan(semver) bool | semver.compareTo(semver) int
semver.major() int | semver.minor() int | semver.patch() int
"""

_ORDERED = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
_NUMBERS = ("int", "uint", "double")
_OPERATORS = " | ".join([
    "_&&_(bool,bool) bool | _||_(bool,bool) bool | !_(bool) bool | _?_:_(bool,A,A) A",
    "_==_(A,A) bool | _!=_(A,A) bool | @in(A,list(A)) bool | @in(A,map(A,B)) bool",
    *(f"_{o}_({t},{t}) bool" for o in ("<", "<=", ">", ">=") for t in _ORDERED),
    *(f"_{o}_({s},{t}) bool" for o in ("<", "<=", ">", ">=") for s in _NUMBERS for t in _NUMBERS if s != t),
    *(f"_+_({t},{t}) {t}" for t in ("int", "uint", "double", "string", "bytes", "duration", "list(A)")),
    "_+_(timestamp,duration) timestamp | _+_(duration,timestamp) timestamp",
    *(f"_-_({t},{t}) {t}" for t in ("int", "uint", "double", "duration")),
    "_-_(timestamp,duration) timestamp | _-_(timestamp,timestamp) duration",
    *(f"_{o}_({t},{t}) {t}" for o in ("*", "/") for t in _NUMBERS),
    "_%_(int,int) int | _%_(uint,uint) uint | -_(int) int | -_(double) double",
    "_[_](list(A),int) A | _[_](map(A,B),A) B",
])  # fmt: skip

_OF_LISTS = " | ".join([
    *(f"list({t}).{name}() {t}" for name in ("min", "max") for t in _ORDERED),
    *(f"list({t}).isSorted() bool | list({t}).sort() list({t})" for t in _ORDERED),
    *(f"list({t}).sum() {t}" for t in (*_NUMBERS, "duration")),
])  # fmt: skip

_SPACES = ("strings", "lists", "sets", "optional")


@dataclass(frozen=True, slots=True)
class Signature:
    """One overload: for a method, the receiver is the first parameter."""

    name: str
    parameters: tuple[CelType, ...]
    result: CelType
    method: bool
    native: bool


@cache
def signatures() -> dict[str, tuple[Signature, ...]]:
    """Overloads by name; those of a namespace have it in the name: `sets.contains`, `ip.isCanonical`."""
    found: dict[str, tuple[Signature, ...]] = {}
    for text, native in ((_OPERATORS, True), (_NATIVE, True), (_OURS, False), (_OF_LISTS, False)):
        # `_||_` has the separator in its name; no other has it without a space beside it.
        for line in re.split(r"(?<=\w) \| |(?<=\)) \| |\n", text):
            if line.strip():
                signature = _read(line.strip(), native=native)
                found[signature.name] = (*found.get(signature.name, ()), signature)
    return found


def _read(text: str, *, native: bool) -> Signature:
    head, _, result = text.rpartition(" ")
    opening = _opening(head)
    name, parameters = head[:opening], _types(head[opening + 1 : -1])
    receiver, dot, method = name.rpartition(".")
    if dot and receiver not in _SPACES and name != "ip.isCanonical":
        return Signature(method, (_type(receiver), *parameters), _type(result), True, native)
    return Signature(name, tuple(parameters), _type(result), False, native)


def _opening(head: str) -> int:
    """Where a signature's own parameters begin: the bracket that the last one closes."""
    depth = 0
    for position in range(len(head) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(head[position], 0)
        if depth == 0:
            return position
    raise ValueError(head)


def _types(text: str) -> list[CelType]:
    parts, depth, start = [], 0, 0
    for position, char in enumerate(f"{text},"):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [_type(part) for part in parts if part]


@cache
def _type(text: str) -> CelType:
    if text.endswith(")"):
        name, _, rest = text.partition("(")
        return CelType(name, tuple(_types(rest[:-1])))
    return CelType(text)
