"""The signature of a failure: what stays of it when ids, times, paths and ports are taken out.

Pure, and made of the failure alone: the same failure has the same signature in every run, on every machine.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

from ci_tools.model.case import Failure, Frame

VERSION = "sig-v1"
"""Part of every signature: whoever changes the masking changes this, so that old ones are not taken for new ones."""

LONGEST_MESSAGE = 2000
"""Characters of a message that are looked at: what differs only behind them is one cause."""

FEW_CHARACTERS = 12
"""An assertion with fewer letters than this (``assert 3 == 4``) says too little: where it was raised is added."""

FEW_TYPED = 6
"""The same for other exceptions, whose type says something too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The root exception of a failure: its type, its message and where it was raised."""

    type_name: str
    message: str
    frame: Frame | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Masked form of a root exception. ``place`` is empty where the message says enough by itself.

    ``hard`` are the tokens that tell causes apart and may never be masked: errno, HTTP status, exit codes, quoted names.
    """

    type_name: str
    masked: str
    hard: tuple[str, ...] = ()
    place: str = ""

    @property
    def id(self) -> str:
        """Stable ID: the algorithm's version and 12 hexadecimal digits."""
        text = f"{self.type_name}\n{self.masked}\n{self.place}"
        return f"{VERSION}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"

    @property
    def rule(self) -> str:
        """Readable pattern behind the ID: ``ConnectionRefusedError: connect to * failed``."""
        text = re.sub(r"(?:<[a-z]+>\W*)*<[a-z]+>", "*", self.masked)
        head = f"{self.type_name}: {text}" if self.type_name and self.type_name != text else text or self.type_name
        return f"{head} at {self.place}" if self.place else head


def signature_of(failure: Failure, *, root: str = "") -> Signature:
    """The signature of ``failure``; paths below ``root`` are made relative to it."""
    origin = root_of(failure)
    masked, hard = mask(_first_words(origin.message, origin.type_name))
    place = "" if _says_enough(masked, hard, origin.type_name) else _place(origin, root)
    return Signature(type_name=_short_type(origin.type_name), masked=masked, hard=hard, place=place)


def root_of(failure: Failure) -> Root:
    """The exception that a failure began with, out of its chain or, for foreign reports, out of its text."""
    if failure.chain:
        link = failure.chain[-1]
        return Root(
            type_name=link.type_name, message=link.message, frame=failure.frame or link.frame, source=_source(failure.text)
        )
    return _root_of_text(failure)


# Foreign text.

_BORDER = re.compile(
    r"\n\s*(?:The above exception was the direct cause of the following exception"
    r"|During handling of the above exception, another exception occurred):\s*\n"
)
_WRAPPERS = (
    re.compile(r'\A\s*failed on (?:setup|call|teardown) with "(.*)"\s*\Z', re.DOTALL),
    re.compile(r"\A\s*(?:Also )?[Pp]arent suite (?:setup|teardown) failed:\s*(.*)\Z", re.DOTALL),
    re.compile(r"\A\s*(?:Suite|Test|Keyword) (?:setup|teardown) failed:\s*(.*)\Z", re.DOTALL | re.IGNORECASE),
    re.compile(
        r"\A\s*(?:Setup|Teardown|beforeAll|beforeEach|afterAll|afterEach) (?:hook )?(?:failed|error):\s*(.*)\Z", re.DOTALL
    ),
)
_ERROR_LINE = re.compile(r"^E  +(\S.*)$", re.MULTILINE)
_TYPED = re.compile(
    r"\A((?:[A-Za-z_]\w*\.)*[A-Z_a-z]\w*(?:Error|Exception|Warning|Exit|Interrupt|Timeout|Failed|Refused|Unavailable|Fault))(?::\s|\Z)"
)
_DOTTED = re.compile(r"\A((?:[a-z_]\w*\.)+(?:[A-Z]\w*|\w*error))(?::\s|\Z)")
_PLACE = re.compile(r"^([^\s:][^:\n]*):(\d+): *(?:in (\S+)|[\w.]+)? *$", re.MULTILINE)
_FILE = re.compile(r'^\s*File "([^"\n]+)", line (\d+), in (\S+)', re.MULTILINE)
_NOT_OURS = re.compile(r"site-packages|dist-packages|/lib/python3|<frozen|\A<|/threading\.py|/asyncio/|importlib/__init__\.py")


def _root_of_text(failure: Failure) -> Root:
    text = failure.text
    type_name, message = failure.type_name, _unwrap(failure.message)
    first = text
    if "exception" in text and (border := _BORDER.search(text)):
        first = text[: border.start()]
        line = _error_line(first)
        if line:
            type_name, message = _type_and_message(line, "")
    elif not message.strip():
        type_name, message = _type_and_message(_error_line(text) or _last_line(text), type_name)
    if not type_name or type_name == "AssertionError" or message.startswith(f"{type_name}:"):
        type_name, message = _type_and_message(message, type_name)
    return Root(type_name=type_name, message=message, frame=failure.frame or _frame(first), source=_source(first))


def _unwrap(message: str) -> str:
    for _ in range(4):
        for wrapper in _WRAPPERS:
            if found := wrapper.match(message):
                message = found[1]
                break
        else:
            return message
    return message


def _error_line(text: str) -> str:
    """The first of the last block of lines that pytest marks with E: the exception's type and the head of its message."""
    best = ""
    previous_end = -2
    for found in _ERROR_LINE.finditer(text):
        if found.start() > previous_end + 1:
            best = found[1]
        previous_end = found.end()
    return best.strip()


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _type_and_message(line: str, fallback: str) -> tuple[str, str]:
    typed = _TYPED.match(line) or _DOTTED.match(line)
    if typed is None:
        return fallback, line
    return typed[1], line[typed.end() :].strip()


def _frame(text: str) -> Frame | None:
    places = [(path, int(line), function) for path, line, function in _PLACE.findall(text)]
    if not places:
        places = [(path, int(line), function) for path, line, function in _FILE.findall(text)]
    own = [place for place in places if not _NOT_OURS.search(place[0])] or places
    if not own:
        return None
    path, line, function = own[-1]
    return Frame(path=path, line=line, function=function)


def _source(text: str) -> str:
    """The source line that pytest marks as the one that raised."""
    at = text.rfind("\n>")
    if at < 0:
        return text[1:].split("\n", 1)[0].strip() if text.startswith(">") else ""
    return text[at + 2 :].split("\n", 1)[0].strip()


def _short_type(type_name: str) -> str:
    return type_name.removeprefix("builtins.")


def _first_words(message: str, type_name: str) -> str:
    """The part of a message that names the cause: its first line, and the next where the first only announces it."""
    lines = [line.strip() for line in message[:LONGEST_MESSAGE].splitlines() if line.strip()]
    if not lines:
        return type_name if not message.strip() else ""
    head = lines[0]
    if head.endswith(":") and len(lines) > 1:
        head = f"{head} {lines[1]}"
    return head


_EMPTY_WORDS = re.compile(r"<[a-z]+>|\b(?:assert|not|is|in|and|or|None|True|False)\b")


def _says_enough(masked: str, hard: tuple[str, ...], type_name: str) -> bool:
    is_assertion = not type_name or type_name.endswith(("AssertionError", "Failed"))
    if hard and (not is_assertion or any(token[0].isdigit() for token in hard)):
        return True
    letters = sum(map(str.isalpha, _EMPTY_WORDS.sub("", masked)))
    return letters >= (FEW_CHARACTERS if is_assertion else FEW_TYPED)


def _place(origin: Root, root: str) -> str:
    if origin.frame is None:
        return origin.source
    path = relative(origin.frame.path, root)
    return f"{path}:{origin.source or origin.frame.function or origin.frame.line}"


def relative(path: str, root: str) -> str:
    """``path`` with forward slashes, relative to ``root`` where it lies below it."""
    path = path.replace("\\", "/")
    prefix = root.replace("\\", "/").rstrip("/") + "/"
    return path.removeprefix(prefix) if root else path


# Masks, in the order in which they are laid on. Hard tokens are taken out first and put back last.

_STATUS = r"(?:[1-5]\d\d)"
_KNOWN = r"(?:20[0-46]|30[1-478]|40[0-9]|41[0-8]|42[2-689]|431|451|50[0-57])"
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
        |Service|Gateway)
    | \b%(known)s\ (?:==|!=)\ %(known)s\b
    | (?<![\w'])'[A-Za-z_][\w.:/ -]{0,80}'(?![\w'])
    | (?<![\w"])"[A-Za-z_][\w.:/ -]{0,80}"(?![\w"])
    | `[^`\n]{1,80}`
    """.replace("%(status)s", _STATUS).replace("%(known)s", _KNOWN),
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
    | (?P<hex>(?<![A-Za-z0-9])(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{7,}(?![A-Za-z0-9]))
    | (?P<token>(?<![A-Za-z0-9])(?=\d*[A-Za-z])(?=(?:[A-Za-z]*\d){2})(?=[A-Za-z0-9_+/=-]{12,})[A-Za-z0-9_+/=-]+(?![A-Za-z0-9]))
    | (?P<number>-?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?)
    """,
    re.VERBOSE,
)
_UNIT = r"(?:ns|us|µs|ms|s|sec|secs|seconds?|minutes?|min|hours?|h|[KMGT]i?B|[kKMG]?[Bb]ytes?|B|%)(?!\w)"
# A word with a digit or a slash in it, with the unit behind it and the word `port` before it.
_MAY_VARY = re.compile(rf"(?:(?<!\w)port[ =:]+)?(?<!\S)[^\s\d/\\]*[\d/\\]\S*(?:\ {_UNIT})?")
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
)
_STATUS_WORDS = re.compile(r"\d\d\d [A-Z]|[=!]=|status|esponse|WinE").search
_REPEATS = re.compile(r"(<[a-z]+>)(?:[\s,;:|/-]*\1)+")
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_SPACES = re.compile(r"\s+")
_SERVICE_PORTS = frozenset({"80", "443", "1433", "1521", "3306", "5432", "5672", "6379", "9092", "9200", "11211", "27017"})
"""Ports that name a service: a refused Redis and a refused PostgreSQL are two causes."""


@lru_cache(maxsize=4096)
def mask(message: str) -> tuple[str, tuple[str, ...]]:
    """The message with what varies from run to run masked, and its hard tokens."""
    message = _ANSI.sub("", message)
    hard: list[str] = []
    parts: list[str] = []
    end = 0
    for found in _HARD.finditer(message) if _may_be_hard(message) else ():
        token = _hard_token(found[0])
        if token is None:
            continue
        parts.append(_soft(message[end : found.start()]))
        parts.append(token)
        hard.append(token)
        end = found.end()
    parts.append(_soft(message[end:]))
    text = _SPACES.sub(" ", "".join(parts)).strip()
    return _REPEATS.sub(r"\1", text), tuple(sorted(hard))


def _may_be_hard(message: str) -> bool:
    return any(sign in message for sign in _HARD_SIGNS) or _STATUS_WORDS(message) is not None


def _soft(text: str) -> str:
    """What varies always has a digit or a slash; most words have neither and are not looked at."""
    return _MAY_VARY.sub(_masked_word, text)


def _masked_word(found: re.Match[str]) -> str:
    return _VOLATILE.sub(_masked, found[0])


def _hard_token(text: str) -> str | None:
    """The token as it is kept; None for a quoted text that is no name but holds something that varies."""
    if text[0] not in "'\"`":
        return text
    inner = text[1:-1]
    if " " in inner.strip() or "/" in inner:
        return None
    masked = _soft(inner)
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
    """Scheme and host say which service it is; user, password, port and path vary."""
    found = _AUTHORITY.match(text)
    if found is None:
        return "<url>"
    scheme, host, port, rest = found.groups()
    host = _VOLATILE.sub(_masked, host)
    rest = "/".join(_VOLATILE.sub(_masked, part) for part in rest.partition("?")[0].split("/"))
    return f"{scheme}://{host}{_masked_port(port) if port else ''}{rest}"


_LASTING = re.compile(r"\A(?:/var/run/|/run/|/etc/|/usr/|/dev/)[\w./-]*\Z")


def _masked_path(text: str) -> str:
    """A path that is the same on every machine is kept, of any other its last part, where that has no digits."""
    if _LASTING.match(text) and not any(character.isdigit() for character in text):
        return text
    name = re.split(r"[\\/]", text.rstrip("/\\"))[-1]
    return f"<path>/{name}" if name and not any(character.isdigit() for character in name) and "." in name else "<path>"


def _masked_id(text: str) -> str:
    """``web-7d9f8b6c5-x2x9q`` → ``web-<id>``: the name in front tells what it is."""
    parts = text.split("-")
    kept = []
    for part in parts:
        if any(character.isdigit() for character in part):
            break
        kept.append(part)
    return "-".join((*kept, "<id>")) if kept else "<id>"


_MASKS = {
    "url": _masked_url,
    "time": lambda _: "<time>",
    "ip": _masked_ip,
    "ipv6": lambda _: "<ip>",
    "port": _masked_named_port,
    "path": _masked_path,
    "took": lambda _: "<n>",
    "id": _masked_id,
    "number": _masked_number,
}
