"""The exceptions behind a failure, the root first, in one form whoever wrote them down.

A journal gives a chain; a JUnit file gives text: pytest's long, short, native and line tracebacks, exception groups, and what
the runners of other languages print. Each link has its type, its whole message and its places, as far as they are known.
"""

import ast
import re
import textwrap
from dataclasses import dataclass, replace
from functools import lru_cache

from ci_tools.model.case import Failure, Frame
from ci_tools.reports.headlines import has_foreign_stack, headline_in, of_expectation
from ci_tools.reports.traces import LONGEST_SECTION, Place, places_in, statement_in

LONGEST_NAME = 200
"""Characters of a type with its modules."""

_BORDER = re.compile(
    r"\n[ |]*(?:The above exception was the direct cause of the following exception"
    r"|During handling of the above exception, another exception occurred):[ |]*\n"
)
_JOINT = re.compile(r"\n[ |]*(The above|During handling of the above) exception[ ,]")
_WRAPPERS = (
    re.compile(r'\A\s*failed on (?:setup|call|teardown) with "(.*?)"?\s*\Z', re.DOTALL),
    re.compile(r"\A\s*(?:Also )?[Pp]arent suite (?:setup|teardown) failed:\s*(.*)\Z", re.DOTALL),
    re.compile(r"\A\s*(?:Suite|Test|Keyword) (?:setup|teardown) failed:\s*(.*)\Z", re.DOTALL | re.IGNORECASE),
    re.compile(
        r"\A\s*(?:Setup|Teardown|beforeAll|beforeEach|afterAll|afterEach) (?:hook )?(?:failed|error):\s*(.*)\Z", re.DOTALL
    ),
)
_ERROR_LINE = re.compile(r"^E(?: ( +)([^ \n].*)| *)$", re.MULTILINE)
_NAME = r"(?:[A-Za-z_]\w*\.)*(?:<locals>\.)?[A-Za-z_]\w*"
_TYPED = re.compile(
    r"\A((?:[A-Za-z_]\w*\.)*(?:<locals>\.)?\w*(?:Error|Exception|Warning|Exit|Interrupt|Timeout|Failed|Failure|Refused|Unavailable"
    r"|Fault|Group|Iteration))(?::\s|:?\Z)"
)
_ANY_TYPE = re.compile(rf"\A({_NAME})(?::\s|\Z)")
_DOTTED = re.compile(r"\A((?:[a-z_]\w*\.)+(?:<locals>\.)?(?:_*[A-Z]\w*|\w*error|timeout))(?::\s|\Z)")
_FAILED = re.compile(r"\A(Failed): (?=DID NOT RAISE|Timeout|\S)")
_MISSING = re.compile(r"\s*fixture '([^'\n]+)' not found")
_CRASH = re.compile(r"[^\s>][^\n]*:\d+: ([\w.]+)\s*\Z")
_TRACEBACK = "Traceback (most recent call last):"
_MARGIN = re.compile(r"^ *(?:[|+][-+ |]*(?:\d+ -+)?|-+)? ?", re.MULTILINE)
_CUT = re.compile(r"\n?\[\+\d+ more lines?[^\]\n]*\]?\s*\Z")
_TOLD = re.compile(r"^[ \t]+[\w./-]+\.go:\d+: (.+)|panicked at \S+:\d+:\d+:\n(.+)", re.MULTILINE)
_PANIC = re.compile(r"^panic: (.+?)(?: \[recovered\b.*)?$", re.MULTILINE)
_CAUSED = re.compile(r"^[ \t]*(?:Caused by|\[?cause\]?): (.+)$", re.MULTILINE)
_JS_TYPE = re.compile(r"\A(\w*(?:Error|Exception))(?: \[(\w+)\])?: ")
_PYTEST_OWN = frozenset({"", "testCodeFailure", "Error", "error", "failure", "Failure", "AssertionError", "rerun"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One exception of a failure: its type, its message with all lines, and where it was raised.

    ``frame`` is the place that the journal or the reader knew, ``text`` the traceback as rendered.
    """

    type_name: str
    message: str
    frame: Frame | None = None
    text: str = ""

    def places(self) -> tuple[Place, ...]:
        """The lines of the traceback, the innermost last; the recorded frame where no text shows any."""
        return places_in(self.text)

    @property
    def marked(self) -> str:
        """The source line that the text marks as the one that raised; empty where it shows none."""
        return statement_in(self.text)[0]

    @property
    def statement(self) -> str:
        """The whole statement that begins in the marked line, in one line."""
        return " ".join(statement_in(self.text)).strip()


def root_of(failure: Failure) -> Root:
    """The exception that a failure began with, out of its chain or, for foreign reports, out of its text."""
    return links_of(failure)[0]


def links_of(failure: Failure) -> tuple[Root, ...]:
    """The exceptions of a failure, the root first, each next one raised from or during the one before. Never empty."""
    sections = _BORDER.split(failure.text) if "exception" in failure.text else [failure.text]
    if failure.chain and not _is_group(failure.chain[-1].type_name) and failure.chain[-1].type_name not in _COLLECTING:
        links = [
            Root(
                type_name=canonical(link.type_name),
                message=link.message,
                frame=link.frame,
                text=sections[index] if len(sections) == len(failure.chain) else "",
            )
            for index, link in enumerate(reversed(failure.chain))
        ]
        if len(sections) != len(failure.chain):
            links[0] = replace(links[0], frame=failure.frame or links[0].frame, text=sections[0])
    else:
        links = [found for section in sections if (found := _raised(section)) is not None] if failure.text else []
        if len(links) == len(sections) > 1:
            pass
        elif links and _may_be_read(failure):
            links = links[:1] if len(sections) == 1 else links
            if len(sections) == 1 and _CAUSED.search(failure.text):
                links.append(_said(failure, failure.text))
        else:
            links = [_said(failure, sections[0])]
        if failure.frame is not None:
            links[0] = replace(links[0], frame=failure.frame)
    if missing := _NO_FIXTURE.match(links[0].message) if links[0].type_name == "FixtureLookupError" else None:
        links[0] = replace(links[0], message=f"fixture '{missing[1]}' not found")
    if len(links) == len(sections) > 1:
        joints = ["During" in joint for joint in _JOINT.findall(failure.text)]
        first = next(
            (at for at in range(len(joints), 0, -1) if joints[at - 1] and _is_only_first_try(*links[at - 1 : at + 1])), 0
        )
        links = links[first:]
    if told := _told_inside(links[0].type_name, links[0].message):
        again = len(links) > 1 and (links[1].type_name, links[1].message) == (told[0].type_name, told[0].message)
        links = [*told, *links[2 if again else 1 :]]
    return tuple(_without_cancelled(links))


def _without_cancelled(links: list[Root]) -> list[Root]:
    """Without the cancellation at the root: how a time-out works, not why there was one."""
    while len(links) > 1 and links[0].type_name.endswith("CancelledError"):
        links = [replace(links[1], text=links[1].text or links[0].text, frame=links[1].frame or links[0].frame), *links[2:]]
    return links


def _told_inside(type_name: str, message: str) -> list[Root]:
    """The exceptions of another process whose traceback is this one's message: a program's output, a worker's last words."""
    if found := _RESULT.search(message):
        message = found[2] if found[1] == "KeyError" else _unquoted(found[2])
        return [Root(type_name=canonical(found[1]), message=message)] if found[1] != "SystemExit" else []
    at = message.find(_TRACEBACK)
    if at < 0:
        shown = (
            _SHOWN.search(message[:LONGEST_TOLD])
            if type_name.endswith(("AssertionError", "Failed")) and "Error(" in message
            else None
        )
        words = shown[3].replace("\\'", "'") if shown else ""
        return [Root(type_name=canonical(shown[1]), message=f"'{words}'" if shown[1] == "KeyError" else words)] if shown else []
    first, _, rest = message[at:].partition("\nassert ")[0].partition("\n")
    sections = _BORDER.split(f"{first}\n{textwrap.dedent(_closed(rest))}")
    links = [_of_native(section) for section in sections if _TRACEBACK in section]
    return [link for link in links if link is not None]


def _closed(text: str) -> str:
    """Lines of a traceback without the blanks and quotes that stand around it."""
    return "\n".join(line if line.strip() else "" for line in text.rstrip('\n"').splitlines())


LONGEST_TOLD = 2_000
"""Characters of a message in which an exception may show itself."""

_SHOWN = re.compile(r"^(?! *\+ ).*?(?<![\w.])([A-Z]\w*Error)\((\\?['\"])(.+?)\2\)", re.MULTILINE)
"""An exception as it shows itself in what a test says: ``1 errors, first: KeyError('it')``."""

_RESULT = re.compile(r"^ *\+ *where -?\d+ = <Result (\w+)\((.*)\)>\.exit_code", re.MULTILINE)
"""How click's and typer's runner shows what a command raised."""


def _unquoted(text: str) -> str:
    """The message of an exception out of how it shows itself: ``'no such book'``."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def _is_only_first_try(first: Root, second: Root) -> bool:
    """Whether the first exception only led to another way (a key that is not cached), on which the second, real one, was met.

    A fault of the code that handled the first one is such a way, too.
    """
    if first.type_name.rpartition(".")[2] not in _FIRST_TRIES and second.type_name not in _OF_CODE:
        return False
    places = second.places()
    return bool(places) and not (places[-1].is_ours and places[-1].source.startswith("raise"))


_OF_CODE = frozenset({"AttributeError", "NameError", "UnboundLocalError", "TypeError", "ImportError", "ModuleNotFoundError"})
_FIRST_TRIES = frozenset({"KeyError", "IndexError", "AttributeError", "LookupError", "StopIteration", "Empty", "BlockingIOError"})


@lru_cache(maxsize=1024)
def canonical(type_name: str) -> str:
    """One name for one type: without ``builtins``, and built-in where it is only a second name of a built-in.

    PostgreSQL's errors are the server's, whichever client passes them on.
    """
    if found := _OF_POSTGRES.match(type_name):
        return f"postgres.{found[1]}"
    return _ALIASES.get(type_name) or type_name.removeprefix("builtins.")


_OF_POSTGRES = re.compile(r"(?:psycopg2?\.errors|asyncpg\.exceptions(?:\._base)?)\.(\w+?)(?:Error)?_?\Z")
_NO_FIXTURE = re.compile(r"\('([^'\n]+)', <")
_COLLECTING = frozenset({"_pytest.nodes.Collector.CollectError", "CollectError"})
_ALIASES = {
    "asyncio.exceptions.TimeoutError": "TimeoutError",
    "asyncio.TimeoutError": "TimeoutError",
    "concurrent.futures._base.TimeoutError": "TimeoutError",
    "concurrent.futures.TimeoutError": "TimeoutError",
    "socket.timeout": "TimeoutError",
    "IOError": "OSError",
    "EnvironmentError": "OSError",
    "unittest.case.failureException": "AssertionError",
    "_pytest.outcomes.Failed": "Failed",
    "_pytest.fixtures.FixtureLookupError": "FixtureLookupError",
}


def _is_group(type_name: str) -> bool:
    return type_name.rpartition(".")[2] in {"ExceptionGroup", "BaseExceptionGroup"}


def _may_be_read(failure: Failure) -> bool:
    """Whether the text says more of what was raised than type and message do: pytest's does, a log below a sentence does not."""
    text = failure.text
    return _TRACEBACK in text or failure.type_name in _PYTEST_OWN or bool(_ERROR_LINE.search(text)) or bool(_CAUSED.search(text))


def _said(failure: Failure, text: str) -> Root:
    """The exception that type and message tell of, where the text has none of its own."""
    type_name, message = canonical(failure.type_name), _CUT.sub("", _unwrap(failure.message))
    message = message.removeprefix("E   ")
    if told := _told_in(text) if message.strip() in {"", "Failed"} or " panicked at " in message else "":
        message = told
    elif not message.strip() and (has_foreign_stack(text) or not (type_name and "\n\tat " in text)):
        type_name, message = headline_of(text, type_name)
    elif (
        type_name in _PYTEST_OWN or message.startswith((f"{type_name}:", f"{type_name.rpartition('.')[2]}:")) or type_name == "in"
    ):
        type_name, message = type_and_message(message, type_name)
    if message.startswith("expect("):
        type_name, message = "AssertionError", of_expectation(message)
    return Root(type_name=canonical(type_name), message=message, text=text)


def _told_in(text: str) -> str:
    """What a test of Go or Rust said last: a panic, or else its first line with a place."""
    found = _PANIC.search(text) or _TOLD.search(text)
    return next(filter(None, found.groups()), "") if found else ""


def headline_of(text: str, type_name: str) -> tuple[str, str]:
    """Type and message out of a text alone: what it says before another language's stack, or else its last line."""
    if not has_foreign_stack(text):
        return type_and_message(_last_line(text), type_name)
    first, newline, rest = headline_in(text, type_name).partition("\n")
    typed = _JS_TYPE.match(first)
    type_name, message = (typed[1], first[typed.end() :]) if typed else type_and_message(first, type_name, is_sure=True)
    return type_name, f"{message}{newline}{rest}"


def _unwrap(message: str) -> str:
    for _ in range(4):
        for wrapper in _WRAPPERS:
            if found := wrapper.match(message):
                message = found[1]
                break
        else:
            return message
    return message


def _raised(section: str) -> Root | None:
    """What one traceback ends with; None where it ends with nothing that can be read."""
    if "xception Group Traceback" in section and (leaf := _of_group(section)):
        return leaf
    tail = section[-LONGEST_SECTION:]
    if block := _error_block(tail):
        return _of_block(section, block)
    if _TRACEBACK in tail:
        return _of_native(tail)
    if causes := _CAUSED.findall(tail):
        at = tail.rfind(causes[-1])
        typed = _JS_TYPE.match(causes[-1])
        type_name, message = (
            (typed[1], causes[-1][typed.end() :]) if typed else type_and_message(causes[-1], "", is_sure="." in causes[-1])
        )
        return Root(type_name=type_name, message=message, text=tail[at:])
    return None


def _of_block(section: str, block: list[str]) -> Root:
    """The exception of a block of lines marked with E, pytest's own way to show one."""
    if missing := _MISSING.match(block[0]):
        return Root(type_name="FixtureLookupError", message=f"fixture '{missing[1]}' not found", text="")
    crash = _CRASH.match(section[section.rstrip().rfind("\n") + 1 :])
    hint = crash[1] if crash else ""
    head = block[0].strip()
    if head.startswith('File "'):  # a SyntaxError shows its own file, line and caret first
        head = next((line.strip() for line in reversed(block) if _TYPED.match(line.strip())), head)
        block = [head]
    type_name, message = type_and_message(head, hint if "." not in hint else "", hint=hint)
    if message.startswith("assert ") and type_name in {"", hint}:
        type_name = "AssertionError"
    return Root(type_name=canonical(type_name), message="\n".join((message, *block[1:])), text=section)


def _of_native(section: str) -> Root | None:
    lines = section[section.rfind(_TRACEBACK) :].splitlines()[1:]
    at = next((index for index, line in enumerate(lines) if line and not line[0].isspace()), None)
    if at is None:
        return None
    type_name, message = type_and_message(lines[at].strip(), "", is_sure=True)
    return Root(type_name=canonical(type_name), message="\n".join((message, *lines[at + 1 :])).rstrip(), text=section)


def _of_group(section: str) -> Root | None:
    """The first exception inside an exception group, innermost."""
    plain = _MARGIN.sub("", section[: 4 * LONGEST_SECTION])
    for part in re.split(r"^(?=Exception Group Traceback|Traceback \(most)|^-{6,}$", plain, flags=re.MULTILINE):
        if part.startswith(_TRACEBACK):
            indented = "\n".join(f"  {line}" if line.startswith('File "') else line for line in part.splitlines())
            if found := re.search(rf"^({_NAME})(?::\s(.*))?$", _without_places(indented), re.MULTILINE):
                return Root(type_name=canonical(found[1]), message=found[2] or "", text=indented)
    return None


def _without_places(text: str) -> str:
    """A traceback without its ``File`` lines, and without the source line and the carets below each."""
    kept: list[str] = []
    skip = 0
    for line in text.splitlines()[1:]:
        if line.lstrip().startswith('File "'):
            skip = 2
        elif skip and (skip == 2 or not line.strip(" ^~")):  # noqa: PLR2004 - the line right below
            skip -= 1
        else:
            kept.append(line)
            skip = 0
    return "\n".join(kept)


def _error_block(text: str) -> list[str]:
    """The last block of lines that pytest marks with E: the exception's type and message."""
    block: list[str] = []
    previous_end = -2
    margin = 0
    at = 0 if text.startswith("E") else text.find("\nE") + 1 or -1
    while at >= 0:
        found = _ERROR_LINE.match(text, at)
        at = text.find("\nE", at) + 1 or -1
        if found is None:
            continue
        if found.start() > previous_end + 1:
            block.clear()
            margin = len(found[1] or "")
        block.append(" " * (len(found[1] or "") - margin) + (found[2] or ""))
        previous_end = found.end()
    return block


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def type_and_message(line: str, fallback: str, *, hint: str = "", is_sure: bool = False) -> tuple[str, str]:
    """Type and message of a line like ``package.SomeError: words``; ``hint`` is the short name that the type must have."""
    colon = line.find(":", 0, LONGEST_NAME)
    typed = _typed(line[: colon + 3]) if colon > 0 else _TYPED.match(line) or _DOTTED.match(line)
    if typed is None and (is_sure or hint):
        typed = _ANY_TYPE.match(line)
        if typed and not is_sure and typed[1].rpartition(".")[2] != hint:
            typed = None
    if typed is None:
        return fallback, line
    return typed[1], line[typed.end() :].strip()


@lru_cache(maxsize=1024)
def _typed(start: str) -> re.Match[str] | None:
    """A type with a colon behind it and the first character after that: few begin the lines of many failures."""
    return _TYPED.match(start) or _DOTTED.match(start) or _FAILED.match(start)
