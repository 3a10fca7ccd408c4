"""Which keys differ between two values that a comparison shows: the values themselves are data. Pure."""

import ast
import re
from itertools import zip_longest

_PAIRS = (
    re.compile(r"^ *At index \d+ diff: (?P<left>.+) != (?P<right>.+)$", re.MULTILINE),
    re.compile(r"^First differing element \d+:\n(?P<left>.+)\n(?P<right>.+)$", re.MULTILINE),
    re.compile(r"^ *(?P<left>\{.+\}) != (?P<right>\{.+\})$", re.MULTILINE),
    re.compile(r"\A(?:assert )?(?P<left>[{\[(].+) (?:==|!=) (?P<right>[{\[(].+)$", re.MULTILINE),
)
_MORE = re.compile(r"^ *(?:Left|Right) contains \d+ more items?:\n *(\{.+\})$", re.MULTILINE)
_ATTRIBUTES = re.compile(r"^ *Differing attributes:\n *(\[.*\])$", re.MULTILINE)
_NAME = re.compile(r"'([^'\n]+)'")
LONGEST = 4000
"""Characters of a message in which they are looked for."""


def differing_keys(message: str) -> frozenset[str] | None:
    """The keys, on every level, whose values are not the same; None where the message shows no two values with keys."""
    if "{" not in message and "attributes:" not in message:
        return None
    message = message[:LONGEST]
    found = {name for attributes in _ATTRIBUTES.findall(message) for name in _NAME.findall(attributes)}
    for pattern in _PAIRS:
        for pair in pattern.finditer(message):
            left, right = _value(pair["left"]), _value(pair["right"])
            if left is not None and right is not None:
                found |= _between(left, right)
        if found:
            break
    for more in _MORE.finditer(message):
        value = _value(more[1])
        found |= set(_items(value)) if isinstance(value, ast.Dict) else set()
    return frozenset(found) or None


def _value(text: str) -> ast.expr | None:
    """The expression that a value shows itself as; None where it was cut or is no Python."""
    if "..." in text or " chars]" in text:
        return None
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _between(left: ast.expr, right: ast.expr) -> set[str]:
    match left, right:
        case ast.Dict(), ast.Dict():
            one, other = _items(left), _items(right)
            found: set[str] = set()
            for key in one.keys() | other.keys():
                if key not in one or key not in other:
                    found.add(key)
                elif ast.dump(one[key]) != ast.dump(other[key]):
                    found |= {key} | _between(one[key], other[key])
            return found
        case (ast.List(elts=one), ast.List(elts=other)) | (ast.Tuple(elts=one), ast.Tuple(elts=other)):
            pairs = zip_longest(one, other)
            return set().union(*(_between(*pair) for pair in pairs if None not in pair))
    return set()


def _items(value: ast.Dict) -> dict[str, ast.expr]:
    return {
        key.value: item
        for key, item in zip(value.keys, value.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
