"""What Python itself says of a line of code that went wrong, in one form for all the ways in which it says it. Pure."""

import re

from ci_tools.reports.masks import has_any, mask

_OF_LANGUAGE = tuple(
    (re.compile(pattern, re.DOTALL), said)
    for pattern, said in (
        (r"invalid literal for int\(\) with base \d+: .*", "invalid literal for int()"),
        (r"could not convert string to (\w+): .*", r"could not convert string to \1"),
        (r"Invalid isoformat string: .*", "Invalid isoformat string"),
        (r"time data .* does not match format.*", "time data does not match format"),
        (r"(?:'[^']*'|[\w.-]+) (is not in (?:list|deque))", r"\1"),
        (r"unconverted data remains: .*", "unconverted data remains"),
        (r"('[\w-]+' codec can't (?:de|en)code) .*", r"\1"),
        (r"badly formed hexadecimal UUID string", "badly formed UUID"),
        (r"(not enough|too many) values to unpack.*", r"\1 values to unpack"),
        (r"(unsupported operand type\(s\) for .*)", r"\1"),
        (r"('.{1,3}' not supported between instances of .*)", r"\1"),
        (r"('[\w.]+' object (?:is not|does not support) .*|'NoneType' object has no attribute '\w+'.*)", r"\1"),
        (r"(can only concatenate .*|must be (?:str|real number|integer)\b.*|object of type '\w+' has no len\(\))", r"\1"),
        (r"(argument of type '\w+' is not .*|a bytes-like object is required.*|expected string or bytes-like object.*)", r"\1"),
        (r"(sequence item <?\w*>?: expected str instance.*|can't compare .*|can't subtract .*|cannot unpack .*)", r"\1"),
        (r"(.+) \(\d+ sub-exceptions?\)", r"\1"),
        (r"(?:.* )?(?:division|modulo)(?: or modulo)? by zero", "division by zero"),
        (r"(list index out of range|pop from .*|math domain error)", r"\1"),
        (r"(Cannot read propert.*|.{1,80} is not a function|.{1,80} is (?:undefined|not defined|null)|Cannot invoke .*)", r"\1"),
        (r"\[<class 'decimal\.(\w+)'>\]", r"\1"),
        (r"((?:max|min)\(\) .*empty.*|dictionary changed size.*|generator raised.*)", r"\1"),
        (r"(maximum recursion depth exceeded).*", r"\1"),
        # Rust's and Go's own words.
        (r"called `(Option|Result)::unwrap\(\)` on an? `(None|Err)` value", r"\1::unwrap() of \2"),
        (r"(?:runtime error: )?index out of (?:bounds|range)\b.*", "index out of range"),
        (r"attempt to (divide by zero|(?:add|subtract|multiply) with overflow).*", r"\1"),
        (r"(?:panic: )?(?:runtime error: )?(invalid memory address or nil pointer dereference|integer divide by zero).*", r"\1"),
        (r"(explicit panic|not (?:yet )?implemented|internal error: entered unreachable code)", r"\1"),
    )
)
_LANGUAGE_START = re.compile(
    r"(?:invalid lit|could not conv|Invalid iso|time data|unconverted|badly|not enough|too many|unsupp|can|must|a bytes|arg"
    r"|expected str|object of|sequence|list|pop|math|\[<|max|min|dict|maxi|gen|called `|index out|attempt to"
    r"|explicit panic|not |internal|panic: |runtime error: |invalid mem|integer div)"
)
_LANGUAGE_SIGNS = (
    *("' codec", "' object", "' not", "' is not", "division", "is not a valid", "is not in", "is not a func", "is not def"),
    *("Cannot", " is und", " is null", " sub-exc"),
)
_CALLED_WRONGLY = re.compile(
    r"([\w.<>]+\(\)) (?:got an unexpected keyword argument |missing \d+ |takes |got multiple values|got some positional)(.*)"
    r"|('\w+' is an invalid keyword argument) for ([\w.]+\(\))",
    re.DOTALL,
)
_ARGUMENT = re.compile(r"'\w+'")
_MISSING = (
    re.compile(r"No module named '([\w.]+)'(?:; .*)?"),
    re.compile(r"cannot import name '(\w+)' from '([\w.]+)'(?: \(.*\))?(?:\. Did you mean.*)?", re.DOTALL),
    re.compile(r"<module '([\w.]+)' from '.*'> does not have the attribute '(\w+)'"),
    re.compile(r"module '([\w.]+)' has no attribute '(\w+)'(?:\. Did you mean.*)?", re.DOTALL),
)
_IN_A_CIRCLE = re.compile(r".*partially initialized module '([\w.]+)'.*circular import", re.DOTALL)

CIRCLE = "circular import"
"""What is said of modules that import each other, whichever of them was asked for first."""


def is_of_language(head: str) -> bool:
    """Whether a message may be one of the language: cheap, and so asked first."""
    return _LANGUAGE_START.match(head) is not None or has_any(head, _LANGUAGE_SIGNS)


def said_of_values(type_name: str, message: str) -> tuple[str, tuple[str, ...]] | None:
    """What a line could not do with the values that it was given, masked, and its hard tokens; the values are data."""
    if "." in type_name and not type_name.startswith(("decimal.", "json.", "xml.", "builtins.")):
        return None
    head = message.partition("\n")[0]
    if not is_of_language(head):
        return None
    for pattern, said in _OF_LANGUAGE:
        if found := pattern.fullmatch(head):
            return mask(found.expand(said))
    return None


def said_of_call(type_name: str, message: str) -> tuple[str, str, tuple[str, ...]] | None:
    """A function that was called otherwise than it is written: what is said, its name, and the arguments that are named."""
    found = _CALLED_WRONGLY.fullmatch(message) if type_name == "TypeError" and "()" in message[:200] else None
    if found is None:
        return None
    function = found[1] or found[4]
    arguments = _ARGUMENT.findall(found[2] or found[3])
    return f"{function} {CALLED_OTHERWISE}", f"'{function}'", tuple(sorted({*arguments}))


CALLED_OTHERWISE = "was called otherwise than it is written"


def said_of_kind(type_name: str, message: str) -> tuple[str, tuple[str, ...]] | None:
    """A value that an enumeration lacks, by the enumeration and, where it may be one of a few names, the value."""
    found = _NO_KIND.fullmatch(message) if type_name == "ValueError" and "is not a valid " in message else None
    if found is None:
        return None
    value = found[1] or ""
    return f"{value} is not a valid {found[2]}".lstrip(), tuple(filter(None, (value, f"'{found[2]}'")))


_NO_KIND = re.compile(r"(?:('[A-Za-z_]+')|'[^'\n]*'|[\w.-]+) is not a valid ([A-Z]\w*)")


def said_of_import(type_name: str, message: str) -> tuple[str, tuple[str, ...]] | None:
    """A module, or a name of one, that is not there, however it was asked for; or modules that import each other."""
    if type_name not in {"ImportError", "ModuleNotFoundError", "AttributeError"}:
        return None
    if _IN_A_CIRCLE.match(message):
        return CIRCLE, ()
    for pattern in _MISSING:
        if found := pattern.fullmatch(message):
            name = f"{found[2]}.{found[1]}" if pattern is _MISSING[1] else ".".join(found.groups())
            return f"'{name}' is missing", (f"'{name}'",)
    return None
