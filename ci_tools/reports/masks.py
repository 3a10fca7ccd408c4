"""Masks: what varies from run to run is taken out of a message; what tells causes apart stays.

Hard tokens (errno, HTTP status, exit codes, quoted names) are taken out first and put back last, so that no mask and no
likeness of words can cross them. Changing anything here changes signatures: change their version with it.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import takewhile

LONGEST_DETAILS = 2000
"""Characters of a message's further lines in which names are looked for; dumps are longer."""

MOST_DETAILS = 6
"""Names taken from further lines: the first ones say what it was about, later ones are a log."""

MOST_SPACES = 3
"""Spaces in a quoted name; more is a sentence."""

_STATUS = r"(?:[1-5]\d\d)"
_KNOWN = r"(?:20[0-46]|30[1-478]|40[0-9]|41[0-8]|42[2-689]|431|451|50[0-57])"
# A status stands alone; before a noun (200 rows) it is a count.
_ALONE = r"(?!\w|%|\.\d)(?=\s*(?:\Z|[^\w\s]|(?:for|from|after|on|at|in|instead|but|and|when|with|to|by|not)\b)|\n)"
_HARD = re.compile(
    r"""
      \[(?:Errno|WinError|errno)\ -?\d+\]
    | \b(?:errno|Errno|WinError|winerror|SQLSTATE|sqlstate)[ =:\[(]+[-\w]+[\])]?
    | \bError\ \d+\b(?=[ :,])
    | \b(?:exit(?:ed)?(?:\ with)?(?:\ (?:code|status|value))?|exit\ status|return(?:ed|code|\ code)?|rc|status\ code|code)
      [\ :=(]+-?\d{1,5}\b
    | \bsignal[ :=(]+(?:SIG)?\w+
    | \bSIG[A-Z]{2,6}\b
    | \bHTTP(?:/\d(?:\.\d)?)?(?:\ (?:status|error|code))*[ :=]+%(status)s\b
    | <Response\ \[%(status)s\b
    | \b(?:status|status_code|response|statusCode)(?:\ code)?(?:\ (?:was|is|of))?[ :=(]+%(status)s\b
    | \b%(status)s\ (?:OK|Created|Accepted|No\ Content|Moved|Found|Not\ Modified|Bad\ Request|Unauthorized|Payment|Forbidden
        |Not\ Found|Method|Not\ Acceptable|Request|Conflict|Gone|Unprocessable|Too\ Many|Internal|Not\ Implemented|Bad\ Gateway
        |Service|Gateway|Client\ Error|Server\ Error)
    | \b%(known)s\ (?:==|!=)\ %(known)s\b
    | \b(?:got|expected|wanted|returned|received|answered|responded|replied|failed|was)(?:\ with)?[ :=(]+%(known)s%(alone)s
    | \A\(%(known)s\)(?=\s|\Z)
    | (?:Exception|Error):?\ \(%(known)s\)(?!\w)
    | (?<![\w'])'[#.@]?[A-Za-z_][\w.:/ -]{0,80}'(?![\w'])
    | (?<![\w"])"[#.@]?[A-Za-z_][\w.:/ -]{0,80}"(?![\w"])
    | `[^`\n]{1,80}`
    """.replace("%(status)s", _STATUS)
    .replace("%(known)s", _KNOWN)
    .replace("%(alone)s", _ALONE),
    re.VERBOSE,
)
_WORD = r"[A-Za-z0-9]"
_VOLATILE = re.compile(
    r"""
      (?P<url>\b(?:unix|file|https?(?:\+\w+)?|wss?|rediss?|postgres(?:ql)?(?:\+\w+)?|amqps?|mysql|mongodb|ftp|tcp|grpc)://[^\s'"<>)\]}]+)
    | (?P<time>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?\b|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b)
    | (?P<uuid>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)
    | (?P<address>\b0x[0-9a-fA-F]+\b)
    | (?P<ip>(?<![\w.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d{1,5})?(?![\w.]\d))
    | (?P<ipv6>(?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}(?![\w:]))
    | (?P<port>(?<=[A-Za-z0-9\]]):\d{2,5}\b|\bport[ =:]+\d{1,5}\b)
    | (?P<path>(?<![\w./~-])(?:[A-Za-z]:[\\/]|~?/|\.{1,2}/)[^\s'"<>|:,;()\[\]{}]*[^\s'"<>|:,;()\[\]{}.])
    | (?P<took>(?<![\w.])-?\d+(?:[.,]\d+)*\ ?
        (?:ns|us|µs|ms|s|sec|secs|seconds?|minutes?|min|hours?|h|[KMGT]i?B|[kKMG]?[Bb]ytes?|B|%)(?!\w))
    | (?P<id>(?<![\w-])(?=[\w-]*\d)[A-Za-z]+(?:[-_][A-Za-z]+)*-[0-9a-z]{5,10}(?:-[0-9a-z]{4,10})*(?![\w-]))
    | (?P<version>(?<![A-Za-z0-9.])v\d{1,2}(?![\w.]))
    | (?P<hex>(?<![A-Za-z0-9])(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{7,}(?![A-Za-z0-9]))
    | (?P<token>(?<![A-Za-z0-9])(?=\d*[A-Za-z])(?=(?:[A-Za-z]*\d){2})(?=[A-Za-z0-9_+/=-]{12,})[A-Za-z0-9_+/=-]+(?![A-Za-z0-9]))
    | (?P<number>-?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?)
    """,
    re.VERBOSE,
)
_UNIT = r"(?:ns|us|µs|ms|s|sec|secs|seconds?|minutes?|min|hours?|h|[KMGT]i?B|[kKMG]?[Bb]ytes?|B|%)(?!\w)"
_SIGN = r"[\d/\\]"
_VARYING_SIGN = re.compile(_SIGN)
# A word with a digit or a slash in it, with the unit behind it.
_VARYING_WORD = re.compile(rf"(?<!\S)[^\s\d/\\]*{_SIGN}\S*(?:\ {_UNIT})?")
_VARYING_PORT = re.compile(rf"(?:(?<!\w)port[ =:]+)?{_VARYING_WORD.pattern}")
# What every hard token has one of: cheap to look for, and most messages have none.
_HARD_SIGNS = (
    "'",
    '"',
    "`",
    "rrno",
    "Error ",
    "inerror",
    "SQLSTATE",
    "sqlstate",
    "exit",
    "return",
    "rc",
    "code",
    "signal",
    "SIG",
    "HTTP",
    "==",
    "!=",
    "status",
    "esponse",
    "WinE",
)
# Apart, each of them is looked for by its first character.
_STATUS_BEHIND = re.compile(r"[ (:=][2-5]\d\d(?!\w)")
_STATUS_BEFORE = re.compile(r"\d\d\d [A-Z]")
# Lines that say who answered, when and with what, and lines with what was sent.
_BESIDE = re.compile(
    r"(?:HTTP )?(?:response |request )?headers\b|\[parameters\b|\[SQL\b|(?:Date|Server|Set-Cookie|ETag):", re.IGNORECASE
)
_KEPT_PATH = re.compile(r"\b(?:http|ws)\w*://[^/\s'\"]*(/[^\s'\"<>)\]]*[^\s'\"<>)\].,;:])")
_KEPT_NAME = re.compile(r"<path>/([\w.-]*\w)")
_TEMPORARY = re.compile(r"tmp[a-z0-9_]{6,}(?:\.\w+)?")
_SEPARATOR = re.compile(r"[\\/]")
_NAMING = re.compile(r"[A-Za-z]{3,}")
_ANYWHERE = frozenset({"", ".", "..", "tmp", "temp", "t", "var", "home", "users", "root", "work", "mnt"})
_REPEATS = re.compile(r"(<[a-z]+>)(?:[\s,;:|/-]*\1)+")
_OBJECT = re.compile(r"<([A-Za-z_][\w.]*)(?: object)? (?:at 0x[0-9a-fA-F]+|fd=\d+)[^<>\n]*>")
_MAIL = re.compile(r"(?<![\w.+:/-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_SERVICE_PORTS = frozenset({"80", "443", "1433", "1521", "3306", "5432", "5672", "6379", "9092", "9200", "11211", "27017"})
"""Ports that name a service: a refused Redis and a refused PostgreSQL are two causes."""


def mask(message: str) -> tuple[str, tuple[str, ...]]:
    """The message with what varies from run to run masked, and its hard tokens."""
    message = _ANSI.sub("", message)
    if not may_be_hard(message):
        return finish(soft(message))
    hard: list[str] = []
    parts: list[str] = []
    end = 0
    for found in _HARD.finditer(message):
        token = _hard_token(found[0])
        if token is None:
            continue
        parts.append(soft(message[end : found.start()]))
        parts.append(token)
        hard.append(token)
        end = found.end()
    parts.append(soft(message[end:]))
    return finish("".join(parts), tuple(hard))


@lru_cache(maxsize=4096)
def finish(masked: str, hard: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...]]:
    """A masked message in its final form, and its hard tokens with the names that paths and addresses hold."""
    text = " ".join(masked.split())
    names: list[str] = []
    if "/" in text:
        names.extend(f"'{name}'" for name in _KEPT_NAME.findall(text))
        names.extend(_KEPT_PATH.findall(text))
    return _REPEATS.sub(r"\1", text), tuple(sorted((*hard, *names)))


def name_of_file(path: str) -> str:
    """The last part of a path, empty where it looks made up for the occasion: with digits, or as ``tempfile`` makes them."""
    name = _SEPARATOR.split(path.strip().rstrip("/\\"))[-1]
    return "" if _varies(name) else name


def kind_of_file(path: str) -> str:
    """What names a file: its name, of a numbered one its words (``rates-2024.csv`` is ``rates.csv``), else the folder it lies in.

    Empty where all of it looks made up for the occasion.
    """
    *folders, name = _SEPARATOR.split(path.strip().rstrip("/\\"))
    if not _varies(name):
        return name
    *words, extension = re.split(r"[-_.]", name) if "." in name else (*re.split(r"[-_]", name), "")
    if not _TEMPORARY.fullmatch(name) and (named := [word for word in words if _NAMING.fullmatch(word)]):
        return f"{'-'.join(named)}.{extension}" if extension.isalpha() else "-".join(named)
    folder = next((part for part in reversed(folders) if not any(map(str.isdigit, part))), "")
    return "" if _varies(folder) or folder.lower() in _ANYWHERE or folder.startswith("pytest-of-") else f"{folder}/"


def _varies(name: str) -> bool:
    return any(map(str.isdigit, name)) or _TEMPORARY.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def names_in(text: str) -> tuple[str, ...]:
    """The hard tokens of the further lines of a message: the first few that are no keys, no dates and hold nothing that varies.

    Quoted words below an ``assert`` are compared data and no names; headers and bound parameters are no part of what went wrong.
    """
    found: dict[str, None] = {}
    is_compared = False
    for line in _ANSI.sub("", text[:LONGEST_DETAILS]).splitlines():
        line = line.strip()  # noqa: PLW2901 - what a margin says is nothing
        is_compared = is_compared or line.startswith("assert ")
        if not may_be_hard(line) or _BESIDE.match(line):
            continue
        if differing := _DIFFERING.match(line):
            found[f"'{differing[1]}'"] = None
            continue
        if called := _CALLED.match(line):
            found[f"'{called[1]}'"] = None
        if called or _COMPARED.match(line):
            continue
        for token in _HARD.finditer(line):
            is_quoted = token[0][0] in "'\"`"
            if is_quoted and (is_compared or line.startswith((":", "="), token.end())):
                continue
            kept = _name(token[0]) if is_quoted else token[0]
            if kept is not None:
                found[kept] = None
            if len(found) == MOST_DETAILS:
                return tuple(sorted(found))
    return tuple(sorted(found))


_CALLED = re.compile(r"Expected: (\w+)\(")
"""unittest.mock, of a call that was not made: its arguments are data."""

_COMPARED = re.compile(
    r"Actual: |At index \d+ diff:|(?:Left|Right) contains |(?:Extra|Common|Differing) items|Full diff:|[-+?] {2,}[\[({'\"]"
)
"""pytest, below a comparison: what was compared, item by item."""

_DIFFERING = re.compile(r"\{'([A-Za-z_]\w{0,60})': .*\} != \{'\1': .*\}\Z")
"""pytest, of two dictionaries: the key is what differs, its values are data."""


def _name(text: str) -> str | None:
    """A quoted name as it is kept, in one kind of quotes; a few words (a button's) are a name too."""
    inner = text[1:-1].strip()
    if "/" in inner:
        inner = name_of_file(inner)
    if not inner or inner.count(" ") > MOST_SPACES or soft(inner) != inner:
        return None
    return f"'{inner}'"


def has_any(text: str, signs: tuple[str, ...]) -> bool:
    """Whether a text holds one of these: a loop, as ``any`` would make a generator for each of many texts."""
    for sign in signs:  # noqa: SIM110 - as said
        if sign in text:
            return True
    return False


def may_be_hard(message: str) -> bool:
    """Whether a hard token may be in a message: cheap, and never no where there is one."""
    return (
        has_any(message, _HARD_SIGNS) or _STATUS_BEHIND.search(message) is not None or _STATUS_BEFORE.search(message) is not None
    )


def soft(text: str) -> str:
    """A text without hard tokens, masked: what varies has a digit, a slash or an ``@``, and most words are not looked at."""
    if "<" in text:
        text = _OBJECT.sub(r"<\1>", text)
    if "@" in text:
        text = _MAIL.sub("<mail>", text)
    if "port" in text:
        return _VARYING_PORT.sub(lambda word: _masked_word(word[0]), text)
    parts: list[str] = []
    end = 0
    while sign := _VARYING_SIGN.search(text, end):
        word = _VARYING_WORD.search(text, text.rfind(" ", end, sign.start()) + 1 or end)
        if word is None:
            break
        parts += (text[end : word.start()], _masked_word(word[0]))
        end = word.end()
    return "".join((*parts, text[end:])) if parts else text


@lru_cache(maxsize=1 << 14)
def _masked_word(word: str) -> str:
    return _VOLATILE.sub(_masked, word)


def _hard_token(text: str) -> str | None:
    """The token as it is kept; None for a quoted text that is no name but holds something that varies."""
    if text[0] not in "'\"`":
        return text
    inner = text[1:-1]
    if " " in inner.strip() or "/" in inner:
        return None
    masked = soft(inner)
    return text if masked == inner else None


def _masked(found: re.Match[str]) -> str:
    mask_of = _MASKS.get(found.lastgroup or "number")
    return mask_of(found[0]) if mask_of else "<id>"


def _masked_ip(text: str) -> str:
    _, colon, port = text.partition(":")
    return f"<ip>{_masked_port(port) if colon else ''}"


def _masked_named_port(text: str) -> str:
    digits = re.search(r"\d+", text)
    if digits and digits[0] in _SERVICE_PORTS:
        return text
    return ":<port>" if text.startswith(":") else "port <port>"


def _masked_number(text: str) -> str:
    return text if text in _SERVICE_PORTS and len(text) > len("443") else "<n>"


def _masked_port(port: str) -> str:
    return f":{port}" if port in _SERVICE_PORTS else ":<port>"


_AUTHORITY = re.compile(r"\A(\w+(?:\+\w+)?)://(?:[^@/\s]*@)?([^/:?#]*)(?::(\d+))?(.*)\Z", re.DOTALL)


def _masked_url(text: str) -> str:
    """Scheme, host and the path up to its first part that varies say what was asked; user, password, port and query vary."""
    found = _AUTHORITY.match(text)
    scheme, host, port, rest = found.groups() if found else ("", "", None, text)
    host = _VOLATILE.sub(_masked, host)
    if not scheme.startswith(("http", "ws")):
        rest = "/".join(_VOLATILE.sub(_masked, part) for part in rest.partition("?")[0].split("/"))
        return f"{scheme}://{host}{_masked_port(port) if port else ''}{rest}"
    kept = takewhile(lambda part: _STEADY.fullmatch(part) is not None, re.split(r"[?#]", rest, maxsplit=1)[0].split("/"))
    return f"{scheme}://{host}{_masked_port(port) if port else ''}{'/'.join(kept).rstrip('/')}"


_STEADY = re.compile(r"[^\d%]{0,40}|v\d{1,2}")


_LASTING = re.compile(r"\A(?:/var/run/|/run/|/etc/|/usr/|/dev/)[\w./-]*\Z")


def _masked_path(text: str) -> str:
    """A path that is the same on every machine is kept, of any other its last part, where that has no digits."""
    if _LASTING.match(text) and not any(character.isdigit() for character in text):
        return text
    name = re.split(r"[\\/]", text.rstrip("/\\"))[-1]
    return f"<path>/{name}" if name and not any(character.isdigit() for character in name) and "." in name else "<path>"


def _masked_id(text: str) -> str:
    """``web-7d9f8b6c5-x2x9q`` → ``web-<id>``: the name in front tells what it is."""
    kept = takewhile(lambda part: not any(character.isdigit() for character in part), text.split("-"))
    return "-".join((*kept, "<id>"))


_MASKS: dict[str, Callable[[str], str]] = {
    "url": _masked_url,
    "time": lambda _: "<time>",
    "ip": _masked_ip,
    "ipv6": lambda _: "<ip>",
    "port": _masked_named_port,
    "path": _masked_path,
    "took": lambda _: "<n>",
    "id": _masked_id,
    "number": _masked_number,
    "version": lambda text: text,
}
