"""The signature of a failure: what stays of it when ids, times, paths and ports are taken out.

Pure, and made of the failure alone: the same failure has the same signature in every run, on every machine.
"""

import hashlib
import re
from dataclasses import dataclass

from ci_tools.model.case import Failure, Frame
from ci_tools.reports.masks import mask

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
