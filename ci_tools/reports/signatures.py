"""The signature of a failure: what stays of it when ids, times, paths and ports are taken out.

Pure, and made of the failure alone: the same failure has the same signature in every run, on every machine.
"""

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ci_tools.model.case import Failure, Frame
from ci_tools.reports.masks import mask, names_in

VERSION = "sig-v1"
"""Part of every signature: whoever changes the masking changes this, so that old ones are not taken for new ones."""

LONGEST_MESSAGE = 500
"""Characters of a message that are looked at: what differs only behind them is one cause."""

FEW_CHARACTERS = 12
"""An assertion with fewer letters than this (``assert 3 == 4``) says too little: where it was raised is added."""

FEW_TYPED = 6
"""The same for other exceptions, whose type says something too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The root exception of a failure: its type, its message and where it was raised.

    ``details`` are further lines of the message where it was read out of a text, ``text`` is the traceback as rendered.
    """

    type_name: str
    message: str
    details: str = ""
    frame: Frame | None = None
    text: str = ""

    @property
    def source(self) -> str:
        """The source line that raised; empty where no text shows it."""
        return _source(self.text, self.frame)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Masked form of a root exception. ``place`` is empty where the message says enough by itself.

    ``hard`` are the tokens that tell causes apart and may never be masked: errno, HTTP status, exit codes, quoted names;
    ``details`` are those of the message's further lines. ``context`` is what was raised from a root that names nothing
    (a refused connection, a time-out): types and hard tokens up to the first that names something.
    """

    type_name: str
    masked: str
    hard: tuple[str, ...] = ()
    place: str = ""
    details: tuple[str, ...] = ()
    context: str = ""

    @property
    def id(self) -> str:
        """Stable ID: the algorithm's version and 12 hexadecimal digits."""
        text = "\n".join((self.type_name, self.masked, self.place, *self.details, *filter(None, (self.context,))))
        return f"{VERSION}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"

    @property
    def rule(self) -> str:
        """Readable pattern behind the ID: ``ConnectionRefusedError: connect to * failed``."""
        text = re.sub(r"(?:<[a-z]+>\W*)*<[a-z]+>", "*", self.masked)
        head = f"{self.type_name}: {text}" if self.type_name and self.type_name != text else text or self.type_name
        head = f"{head} … {' '.join(self.details)}" if self.details else head
        head = f"{head} at {self.place}" if self.place else head
        return f"{head} in {self.context}" if self.context else head


def signature_of(failure: Failure, *, root: str = "") -> Signature:
    """The signature of ``failure``; paths below ``root`` are made relative to it."""
    origin = root_of(failure)
    masked, hard, details = _words(origin)
    place = "" if _says_enough(masked, hard, origin.type_name) else _place(origin, root)
    is_chained = len(failure.chain) > 1 or (not failure.chain and "exception" in failure.text)
    context = _context(failure) if is_chained and not _names_something(origin.type_name, masked, (*hard, *details)) else ""
    return Signature(
        type_name=_short_type(origin.type_name), masked=masked, hard=hard, place=place, details=details, context=context
    )


def root_of(failure: Failure) -> Root:
    """The exception that a failure began with, out of its chain or, for foreign reports, out of its text."""
    if failure.chain:
        link = failure.chain[-1]
        return Root(type_name=link.type_name, message=link.message, frame=failure.frame or link.frame, text=failure.text)
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
_ERROR_LINE = re.compile(r"^E(?:  +(\S.*)| *)$", re.MULTILINE)
_TYPED = re.compile(
    r"\A((?:[A-Za-z_]\w*\.)*[A-Z_a-z]\w*(?:Error|Exception|Warning|Exit|Interrupt|Timeout|Failed|Refused|Unavailable|Fault))(?::\s|\Z)"
)
_DOTTED = re.compile(r"\A((?:[a-z_]\w*\.)+(?:[A-Z]\w*|\w*error))(?::\s|\Z)")
_PLACE = re.compile(r"^([^\s:][^:\n]*):(\d+): *(?:in (\S+)|[\w.]+)? *$", re.MULTILINE)
_FILE = re.compile(r'^\s*File "([^"\n]+)", line (\d+), in (\S+)', re.MULTILINE)
_NOT_OURS = re.compile(
    r"site-packages|dist-packages|[\\/]lib[\\/]python\d|[\\/]Lib[\\/]|(?:\A|[\\/])\.?venv[\\/]|hostedtoolcache|<frozen|\A<"
    r"|/threading\.py|/asyncio/|importlib/__init__\.py"
)


def _root_of_text(failure: Failure) -> Root:
    text = failure.text
    type_name, message, details = failure.type_name, _unwrap(failure.message), ""
    first = text
    if "exception" in text and (border := _BORDER.search(text)):
        first = text[: border.start()]
        line, more = _error_block(first)
        if line:
            type_name, message = _type_and_message(line, "")
            details = more
    elif not message.strip():
        type_name, message = _type_and_message(_error_line(text) or _last_line(text), type_name)
    if not type_name or type_name == "AssertionError" or message.startswith(f"{type_name}:"):
        type_name, message = _type_and_message(message, type_name)
    frame = failure.frame
    if frame is None or _NOT_OURS.search(frame.path):
        frame = _frame(first) or frame
    return Root(type_name=type_name, message=message, details=details, frame=frame, text=first)


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
    return _error_block(text)[0]


def _error_block(text: str) -> tuple[str, str]:
    """The last block of lines that pytest marks with E: the exception's type and the head of its message, and the rest."""
    block: list[str] = []
    previous_end = -2
    for found in _ERROR_LINE.finditer(text):
        if found.start() > previous_end + 1:
            block.clear()
        block.append(found[1] or "")
        previous_end = found.end()
    return (block[0].strip(), "\n".join(block[1:])) if block else ("", "")


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
    own = [place for place in places if not _NOT_OURS.search(place[0])]
    if not own:
        return None
    path, line, function = own[-1]
    return Frame(path=path, line=line, function=function)


def _source(text: str, frame: Frame | None) -> str:
    """The source line that pytest marks as the one that raised, in the frame where the text shows that frame."""
    if frame is not None and (shown := text.find(f"{frame.path}:{frame.line}:")) > 0:
        text = text[:shown]
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


def _words(origin: Root) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The masked head of a message, its hard tokens, and those of its further lines that the head does not have."""
    head = _first_words(origin.message, origin.type_name)
    masked, hard = mask(head)
    _, _, more = origin.message.strip().partition("\n")
    rest = f"{more}\n{origin.details}".strip()
    if not rest:
        return masked, hard, ()
    known = {token.strip("'\"`") for token in hard}
    names = names_in(f"assert \n{rest}" if head.startswith("assert ") else rest)
    return masked, hard, tuple(name for name in names if name.strip("'") not in known)


# Roots that name nothing.

_TRANSPORT = re.compile(r"(?:Connect\w*|Timeout\w*|Cancel\w*|Network\w*|Transport\w*|Read|Write)(?:Error|Exception)?\Z|Timeout\Z")
_ERROR_NUMBER = re.compile(r"\W*(?:Errno|errno|WinError|winerror|Error)\b|['\"`]localhost['\"`]")
_NAMING = re.compile(r"\w+://[\w.-]*|\b\d{4,5}\b|<path>/[\w.]+")


def _names_something(type_name: str, masked: str, hard: Iterable[str]) -> bool:
    """Whether an exception says what it was about: a type of its own, a name, a status, a known port or a file."""
    module, _, name = type_name.rpartition(".")
    if module and module.partition(".")[0] not in sys.stdlib_module_names and not _TRANSPORT.match(name):
        return True
    return any(not _ERROR_NUMBER.match(token) for token in hard) or _NAMING.search(masked) is not None


def _context(failure: Failure) -> str:
    """Types and hard tokens of what was raised from the root, outwards, up to the first that names something."""
    said: list[str] = []
    for outer in _outer(failure):
        masked, hard, details = _words(outer)
        said.append(" ".join((_short_type(outer.type_name), *hard, *details, *_NAMING.findall(masked))))
        if _names_something("", masked, (*hard, *details)):
            break
    return " < ".join(said)


def _outer(failure: Failure) -> Iterator[Root]:
    """The exceptions that were raised from the root, the nearest first."""
    if failure.chain:
        yield from (Root(type_name=link.type_name, message=link.message) for link in reversed(failure.chain[:-1]))
    elif "exception" in failure.text:
        root, *outer = (_error_block(section) for section in _BORDER.split(failure.text))
        for line, more in outer if root[0] else ():
            type_name, message = _type_and_message(line, "")
            if type_name or message:
                yield Root(type_name=type_name, message=message, details=more)


_EMPTY_WORDS = re.compile(r"<[a-z]+>|\b(?:assert|not|is|in|and|or|None|True|False)\b")


def _says_enough(masked: str, hard: tuple[str, ...], type_name: str) -> bool:
    is_assertion = not type_name or type_name.endswith(("AssertionError", "Failed"))
    if hard and (not is_assertion or any(token[0].isdigit() for token in hard)):
        return True
    letters = sum(map(str.isalpha, _EMPTY_WORDS.sub("", masked)))
    return letters >= (FEW_CHARACTERS if is_assertion else FEW_TYPED)


def _place(origin: Root, root: str) -> str:
    source = origin.source
    if origin.frame is None:
        return source
    return f"{relative(origin.frame.path, root)}:{source or origin.frame.function or origin.frame.line}"


def relative(path: str, root: str) -> str:
    """``path`` with forward slashes, relative to ``root`` where it lies below it."""
    path = path.replace("\\", "/")
    prefix = root.replace("\\", "/").rstrip("/") + "/"
    return path.removeprefix(prefix) if root else path
