"""What an exception says, in one form: words of libraries that say one thing in many ways are brought to one.

``wording_of`` gives the type, the head that is masked, what tells causes apart, and whether all that is too little to name
what went wrong, so that the place has to say it.
"""

import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from ci_tools.reports.clients import SILENT, STATUS, unified
from ci_tools.reports.differences import differing_keys
from ci_tools.reports.language import is_of_language, said_of_call, said_of_import, said_of_kind, said_of_values
from ci_tools.reports.masks import finish, has_any, kind_of_file, mask, may_be_hard, names_in, soft
from ci_tools.reports.programs import said_of_program
from ci_tools.reports.roots import canonical

LONGEST_MESSAGE = 500
"""Characters of a message's head that are looked at: what differs only behind them is one cause."""

LONGEST_REST = 4000
"""Characters of a message in which fields and servers are looked for."""

FEW_CHARACTERS = 12
"""An assertion with fewer letters than this says too little: where it was raised is added."""

FEW_TYPED = 6
"""The same for other exceptions, whose type says something too."""

FIRST_EPHEMERAL_PORT = 32_768
"""From here on Linux hands out ports of its own choice."""


Servers = tuple[str, ...]
"""``host:port`` of each, the host empty where it is this machine or an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """An exception's words, whichever servers they named."""

    type_name: str
    masked: str
    hard: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    """What a failed comparison names below its first line: a value, as a rule, or where it came from."""
    is_bare: bool = False
    """Compares two values and names nothing: ``assert 3 == 4``."""
    is_generic: bool = False
    """Names nothing that could be mended: a time-out, a text that is no JSON."""
    is_refused: bool = False
    """A server that is not there."""

    @property
    def is_nobodys(self) -> bool:
        """Whether it is an answer (a status) of a server of which neither name nor path is known."""
        if "://" not in self.masked:
            return self.type_name == STATUS
        return _NOBODYS.search(self.masked) is not None and not any(token[0] in "'\"`/" for token in self.hard)


_SQLALCHEMY = re.compile(r"\A\(((?:\w+\.)+\w+)\) (?:<class '([\w.]+)'>: )?")
_BEHIND = re.compile(r",? with args beginning with:|\n\[SQL: |\n\(Background on this error", re.DOTALL)
_REFUSED = re.compile(r"[Cc]onnection refused|ECONNREFUSED|(?:[Ee]rrno|Error) 111\b|actively refused|WinError 10061")
_ERRNO = re.compile(r"\[Errno (-?\d+)\] (.*)", re.DOTALL)
_FULL = frozenset({"12", "23", "24", "28", "122"})
"""Errnos of a machine that has run out of memory, files or space: which file it was that did not fit is chance."""
_OS_ERRORS = re.compile(
    r"\A(?:OSError|FileNotFoundError|PermissionError|NotADirectoryError|IsADirectoryError|FileExistsError|BlockingIOError)\Z"
)
_QUOTED_PATH = re.compile(r"'([^'\n]+)'|\"([^\"\n]+)\"")
_COMPARES = re.compile(
    r"\A(?:assert\b"
    r"|Not equal to tolerance|Arrays are not |(?:Attributes of )?(?:DataFrame|Series|Index|numpy array)\b.* (?:are|is) different"
    r"|.* != .*|(?:Lists|Tuples|Sets|Dicts|Sequences|Items|Element counts) (?:differ|in the|were not equal)"
    r"|(?:False|True|None|.{1,80}) is (?:not )?(?:true|false|None|True|False)\b"
    r"|.{1,200} not (?:less than|greater than|found in|equal to|almost equal)|.{1,80} unexpectedly|.{0,9}expected:? ?<.*> but was"
    r"|expect\(|Expected values to be|Expected .*\bto (?:equal|be)\b|Failed asserting that|got .{1,80} want |assertion .*failed)",
    re.DOTALL,
)
_STATUSES = re.compile(r"\d{3} [=!]= \d{3}|<Response \[")
_ALWAYS_GENERIC = re.compile(
    r"(?:\A|\.)(?:JSONDecodeError|Unicode(?:De|En)codeError|ZeroDivisionError|IndexError|RecursionError|StopIteration"
    r"|StopAsyncIteration|CancelledError|InvalidOperation|DecimalException|EOFError|BrokenPipeError|ConnectionResetError"
    r"|ConnectionAbortedError|IncompleteReadError|ParseError|OverflowError|NotImplementedError|NullPointerException|NullReferenceException"
    r"|(?:Array|String)?IndexOutOf\w+|ArithmeticException|ClassCastException)\Z"
    r"|\A(?:binascii\.Error|struct\.error|zlib\.error|_csv\.Error|KeyboardInterrupt)\Z"
)
_TIMED_OUT = re.compile(
    r"\A(?:|time[d]?[ -]?out[.!]?|timed out|the (?:read|write|connect|handshake)\w* operation timed out|operation timed out"
    r"|(?:\w+ )?time-?out(?: (?:of|after|expired|exceeded).{0,40})?)\Z",
    re.IGNORECASE,
)
_REQUESTED = re.compile(
    r"\b(?:GET|HEAD|POST|PUT|PATCH|DELETE) (?:\w+://[^/\s'\"]+)?((?:/(?:api|rest|v\d{1,2})(?=/))*/([A-Za-z_-]+)[^\s'\"<>(),;:]*)"
)
_NO_ANSWER = re.compile(r"\b(?:401|407|429|502|503|504|511)\b|efused")
_TIMEOUT_TYPE = re.compile(r"(?:Timeout\w*|TimedOut\w*|timeout)\Z")
_NAMELESS = re.compile(
    r"\W*(?:Errno|errno|WinError|winerror|Error)\b"
    r"|['\"`](?:localhost|NoneType|int|str|float|bool|list|dict|tuple|set|bytes|object|function|method|type|utf-8|ascii|latin-1"
    r"|datetime\.\w+|[<>+*/%|&=-]+)['\"`]\Z"
)
_EMPTY_WORDS = re.compile(r"<[a-z]+>|\b(?:assert|not|is|in|and|or|None|True|False)\b")
_MOCKED = re.compile(
    r"Expected '(\w+)' to (?:be|have been) (?:called|awaited)(?: once)?\.(?: (?:Called|Awaited) (\d+) times\.)?"
    r"|expected (?:call|await) not found\.\nExpected: (\w+)\([^\n]*\n *Actual: (not called)?"
)
_OTHER_WORDS = re.compile(
    r"^Regex pattern did not match\.\n *(?:Expected regex|Regex): .*\n *(?:Actual message|Input): ['\"](.+)['\"]$"
    r"|^['\"].*['\"] does not match ['\"](.+)['\"]$"
    r"|^ *\+ *where ['\"](.+)['\"] = str\(\w+\(.*\)\)$",
    re.MULTILINE,
)
_PYDANTIC = re.compile(r"\A\d+ validation errors? for ([\w.\[\], ]+)")
_PYDANTIC_FIELD = re.compile(r"^(\S[^\n]*)\n  [^\n]*?\[type=(\w+)", re.MULTILINE)
_SCHEMA = re.compile(r"^Failed validating '?([\w$]+)'? in schema([^\n]*):", re.MULTILINE)
_INSTANCE = re.compile(r"^On instance([^\n]*):", re.MULTILINE)
_SERVER = re.compile(
    r"\('(?P<tuple>[^'\n]*)', (?P<tupleport>\d{2,5})(?:, \d+, \d+)?\)"
    r"|host='?(?P<pool>[^',)\n]+)'?, port=(?P<poolport>\d{2,5})"
    r"|server at \"(?P<pg>[^\"\n]+)\"(?: \([^)\n]*\))?, port (?P<pgport>\d{2,5})"
    r"|(?:://(?:[^@/\s'\"]*@)?|\b(?:to|at|with|from|on|tcp|udp|of|server|host|address|broker|node|reach|dial"
    r"|ECONNREFUSED)[ =:]+|ipv[46]:)"
    r"(?P<named>\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?|):(?P<namedport>\d{2,5})(?![\w.:]*\w)"
    r"|(?<![\w.])(?P<bare>localhost|\d{1,3}(?:\.\d{1,3}){3}|\[::1?\]):(?P<bareport>\d{2,5})(?!\w)"
    r"|\bport[ =:]+(?P<port>\d{2,5})\b"
)
_NOBODYS = re.compile(r"://(?:<ip>|localhost):<port>(?![/\w])")
_PORT_BEHIND = re.compile(r":\d{2,5}(?!\w)|port[ =:]+\d\d")
_PORT_SPREAD = re.compile(r"[:= ]\d\d")
_LOCAL = re.compile(r"\A(?:localhost|\[?[0-9a-fA-F:]*:[0-9a-fA-F:]*\]?|\d{1,3}(?:\.\d{1,3}){3}|0|host\.docker\.internal|)\Z")


def wording_of(type_name: str, message: str) -> tuple[Wording, Servers]:
    """What an exception of this type with this message says, and the servers that it names.

    Most messages are one sentence with nothing in it but data: masked, there are few of them, and each is looked at once.
    """
    type_name, message = unified(type_name, message)
    if _SENTENCE.fullmatch(message) and not may_be_hard(message) and (said := _of_sentence(type_name, soft(message))):
        return said, servers_in(message)
    return _wording(type_name, message[:LONGEST_REST])


_SENTENCE = re.compile(rf"[!#-&)-_a-~][ !#-&(-_a-~]{{0,{LONGEST_MESSAGE - 1}}}")
"""One line without quotes, colours or anything in front of it, that is looked at as a whole."""


@lru_cache(maxsize=4096)
def _of_sentence(type_name: str, masked: str) -> Wording | None:
    """What a masked sentence says; None where the values in it, or how long they are, may matter."""
    if (
        _is_assertion(type_name)
        or _TIMEOUT_TYPE.search(type_name)
        or any(map(str.isdigit, type_name))
        or has_any(masked, ("Command", "[type=", "efused", "REFUSED", "() takes "))
        or is_of_language(masked)
    ):
        return None
    masked, names = finish(masked)
    is_generic = all(_NAMELESS.match(name) for name in names) and _is_generic(type_name, masked, masked, names)
    return Wording(type_name=type_name, masked=masked, hard=names, is_generic=is_generic)


@lru_cache(maxsize=4096)
def _wording(type_name: str, message: str) -> tuple[Wording, Servers]:
    if inner := _SQLALCHEMY.match(message):
        type_name, message = unified(canonical(inner[2] or inner[1]), message[inner.end() :])
    if "\n" in message or " with args " in message:
        message = _BEHIND.split(message, maxsplit=1)[0]
    for special in (_of_model, _of_schema, _of_program, _of_mock, _of_raised, _of_system, _of_code):
        if found := special(type_name, message):
            return found, servers_in(message) if found.is_refused or type_name == SILENT else ()
    servers = servers_in(message)
    head = _head(message, type_name)
    if (requested := _REQUESTED.search(head)) and not _NO_ANSWER.search(head):
        # What a server was asked for names the fault, unless it answers nothing.
        head = f"{head[: requested.start(1)]}'{requested[2]}'{head[requested.end(1) :]}"
    masked, hard = mask(head)
    if _is_assertion(type_name) and _COMPARES.match(head):
        return _of_comparison(type_name, message, masked, hard, servers)
    more = message.strip().partition("\n")[2].strip()
    details: tuple[str, ...] = ()
    if more:
        known = {token.strip("'\"`") for token in hard}
        details = tuple(name for name in names_in(more) if name.strip("'") not in known)
    is_named = any(not _NAMELESS.match(token) for token in (*hard, *details))
    is_generic = not is_named and _is_generic(type_name, head, masked, hard)
    return Wording(type_name=type_name, masked=masked, hard=hard, details=details, is_generic=is_generic), servers


def _of_comparison(type_name: str, message: str, masked: str, hard: tuple[str, ...], servers: Servers) -> tuple[Wording, Servers]:
    """What is compared is data; a status is none."""
    more = message.strip().partition("\n")[2].strip()
    firm = tuple(token for token in hard if token[0] not in "'\"`")
    if any(_STATUSES.search(token) for token in firm) and _is_outcome(message):
        firm = ()
    keys = differing_keys(message)
    details = names_in(f"assert \n{more}") if more and keys is None else ()
    if any(_STATUSES.search(token) for token in firm):
        return Wording(type_name=type_name, masked=masked, hard=firm), servers
    if any(_STATUSES.search(token) for token in details):
        return Wording(type_name=type_name, masked=masked, hard=firm, details=details), servers
    quoted = tuple(token for token in hard if token[0] in "'\"`")
    differing = tuple(sorted(f"'{key}'" for key in keys or ()))
    bare = Wording(
        type_name=type_name, masked="assert", hard=firm, details=differing, compared=quoted, shown=details, is_bare=True
    )
    return bare, ()


def _is_outcome(message: str) -> bool:
    """Whether the message says that what was compared came out of a function, and nothing of a status."""
    return _OUTCOME.search(message) is not None and not _OF_STATUS.search(message)


_OUTCOME = re.compile(r"^ *\+ +where \d{3} = (?:\w+\.)*\w+\(", re.MULTILINE)
_OF_STATUS = re.compile(r"status|code|respon", re.IGNORECASE)


def _is_generic(type_name: str, head: str, masked: str, hard: tuple[str, ...]) -> bool:
    """Whether a message without a name says nothing that could be mended."""
    return (
        bool(hard)
        or _ALWAYS_GENERIC.search(type_name) is not None
        or (_TIMEOUT_TYPE.search(type_name) is not None and _TIMED_OUT.match("" if head == type_name else head) is not None)
        or (head == type_name and type_name.partition(".")[0] in sys.stdlib_module_names)
        or not _says_enough(masked, hard, type_name)
    )


def servers_in(text: str) -> Servers:
    """The servers that a text names with their ports, in its order, each once."""
    is_spread = has_any(text, ("('", 'server at "', "host="))
    port_sign = _PORT_SPREAD if is_spread else _PORT_BEHIND
    found: dict[str, None] = {}
    end = 0
    while port := port_sign.search(text, end):
        match = _SERVER.search(text, end if is_spread else _two_words_before(text, end, port.start()))
        if match is None:
            break
        end = match.end()
        last = match.lastgroup or "port"  # every way to name a server ends with its port
        host = match[last.removesuffix("port")] if last != "port" else ""
        if "@" not in host and not _FILE_NAME.search(host):
            host = "" if _LOCAL.match(host) else mask(host)[0]
            found[f"{host}:{int(match[last])}"] = None
    return tuple(found)


def _two_words_before(text: str, start: int, at: int) -> int:
    """Where to look for a server with a port at ``at``: what announces it is in the same word or in the one before."""
    before = text[start:at].rstrip(" =:")
    before = before[: before.rfind(" ") + 1].rstrip(" =:")
    return start + before.rfind(" ") + 1


_FILE_NAME = re.compile(r"\.(?:py|js|mjs|cjs|ts|tsx|go|rs|java|kt|cs|php|rb|c|h|cpp|toml|ya?ml|json|txt|sql|feature)\Z")


def _is_assertion(type_name: str) -> bool:
    return (
        not type_name
        or type_name.endswith(("AssertionError", "Failed", "AssertionFailedError", "ComparisonFailure"))
        or (type_name in {"testCodeFailure", "Error", "failure", "ExpectationFailedException"})
    )


def _head(message: str, type_name: str) -> str:
    """The part of a message that names the cause: its first line, and the next where the first only announces it."""
    lines = [line.strip() for line in message[:LONGEST_MESSAGE].splitlines() if line.strip()]
    if not lines:
        return type_name if not message.strip() else ""
    head = lines[0]
    if head.endswith(":") and len(lines) > 1:
        head = f"{head} {lines[1]}"
    return head


def _of_model(type_name: str, message: str) -> Wording | None:
    """Pydantic: the model, and each field with what is wrong with it; what it was given is data."""
    found = _PYDANTIC.match(message) if "[type=" in message else None
    if found is None:
        return None
    fields = sorted({f"{re.sub(r'[.]?[0-9]+(?=[.]|$)', '', field)}:{kind}" for field, kind in _PYDANTIC_FIELD.findall(message)})
    return Wording(type_name=type_name, masked=f"validation error for {found[1].strip()}", hard=tuple(fields))


def _of_schema(type_name: str, message: str) -> Wording | None:
    """JSON schema: the rule and where in the document; the missing name where that is the rule."""
    found = _SCHEMA.search(message) if "\nFailed validating " in message else None
    if found is None:
        return None
    where = _INSTANCE.search(message)
    rule, path = found[1], re.sub(r"\[\d+\]", "[]", where[1] if where else found[2])
    named = mask(_head(message, type_name))[1] if rule in {"required", "additionalProperties", "dependentRequired"} else ()
    return Wording(type_name=type_name, masked=f"{rule} at {path or 'root'}", hard=(rule, *filter(None, (path,)), *named))


def _of_system(type_name: str, message: str) -> Wording | None:
    """The operating system's errors: the number says what, the file or the server says of what; the words are many."""
    if type_name == SILENT:
        return Wording(type_name=type_name, masked="timed out", is_generic=True)
    if has_any(message, ("refused", "REFUSED", " 111", "10061")) and _REFUSED.search(message):
        said = "refused" if type_name == "ConnectionRefusedError" else mask(_head(message, type_name))[0]
        return Wording(type_name=type_name, masked=said, is_generic=True, is_refused=True)
    errno = _ERRNO.match(message)
    if errno is None or not _OS_ERRORS.match(type_name) or servers_in(message):
        return None
    files = [kind_of_file(one or other) for one, other in _QUOTED_PATH.findall(errno[2][:LONGEST_MESSAGE])]
    number = f"[Errno {errno[1]}]"
    if errno[1] in _FULL:
        return Wording(type_name="OSError", masked=number, hard=(number,))
    names = tuple(sorted({f"'{name}'" for name in files if name}))
    words = mask(re.split(": ['\"]", errno[2], maxsplit=1)[0])[0]
    return Wording(type_name=type_name, masked=f"{number} {words}", hard=(number, *names), is_generic=not files)


def _of_mock(type_name: str, message: str) -> Wording | None:
    """unittest.mock, of a call that was to be made: which, and whether it was made at all."""
    found = _MOCKED.match(message) if message.startswith(("Expected '", "expected call not", "expected await not")) else None
    if found is None:
        return None
    name = found[1] or found[3]
    was = "was never called" if found[2] == "0" or found[4] else "was called otherwise"
    return Wording(type_name=type_name, masked=f"'{name}' {was}", hard=(f"'{name}'",), details=(was,))


def _of_program(type_name: str, message: str) -> Wording | None:
    said = said_of_program(type_name, message)
    return Wording(type_name=said[0], masked=said[1], hard=said[2]) if said else None


def _of_raised(type_name: str, message: str) -> Wording | None:
    """The words of an exception that a test expected to be others: they are what the project said."""
    if not _is_assertion(type_name):
        return None
    found = _OTHER_WORDS.search(message[:LONGEST_REST])
    words = next(filter(None, found.groups()), "") if found else ""
    if not words:
        return None
    said, _ = said_of_values("ValueError", words) or mask(words)
    return Wording(type_name="AssertionError", masked=f"{RAISED_WITH}{said}", hard=(f"'{said}'",))


RAISED_WITH = "raised with the words "


def _of_code(type_name: str, message: str) -> Wording | None:
    """What the language itself says of a line of code: names are names, of values only what could not be done with them."""
    if said := said_of_import(type_name, message):
        return Wording(type_name="ImportError", masked=said[0], hard=said[1])
    if called := said_of_call(type_name, message):
        return Wording(type_name=type_name, masked=called[0], hard=(called[1],), details=called[2])
    if kind := said_of_kind(type_name, message):
        return Wording(type_name=type_name, masked=kind[0], hard=kind[1])
    said = said_of_values(type_name, message)
    return Wording(type_name=type_name, masked=said[0], hard=said[1], is_generic=True) if said else None


def _says_enough(masked: str, hard: tuple[str, ...], type_name: str) -> bool:
    is_assertion = not type_name or type_name.endswith(("AssertionError", "Failed"))
    if hard and (not is_assertion or any(token[0].isdigit() for token in hard)):
        return True
    few = FEW_CHARACTERS if is_assertion else FEW_TYPED
    letters = filter(str.isalpha, _EMPTY_WORDS.sub("", masked))
    return sum(1 for _ in islice(letters, few)) == few
