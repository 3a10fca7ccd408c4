"""The lines of a traceback, whoever printed it: pytest in its styles, Python itself, the runners of other languages. Pure."""

import re
from dataclasses import dataclass
from itertools import takewhile

LONGEST_SECTION = 60_000
"""Characters of one traceback that are read, from its end: the place that raised stands there."""

LONGEST_LINE = 2_000
"""Characters of a source line, or of a statement, that are read."""

_PLACE = re.compile(r"^([^\s:>|][^:\n]*|[A-Za-z]:[^:\n]+):(\d+): *(?:in (\S+)|([\w.]+))?(?:: [^\n]*)? *$", re.MULTILINE)
_NATIVE = re.compile(r'^[ |]*File "([^"\n]+)", line (\d+), in (\S+)\n?([^\n]*)', re.MULTILINE)
_DEF = re.compile(r"^[>E ]?[ \t]*(?:async )?def (\w+)\(", re.MULTILINE)
_MARKED = re.compile(r"^>[ \t]*(?:\d+ \|[ \t]*)?(\S.*)$", re.MULTILINE)
_NOT_OURS = re.compile(
    r"site-packages|dist-packages|[\\/]lib[\\/]python\d|[\\/]Lib[\\/]|(?:\A|[\\/])\.?venv[\\/]|hostedtoolcache|<frozen|\A<"
    r"|/threading\.py|/asyncio/|importlib/__init__\.py|(?:\A|/)node_modules/|\Anode:|\Ainternal/|\.tox/|\.nox/|/rustc/|/vendor/|/go/(?:src|pkg)/"
)
# Other languages: what a stack line looks like, and which classes are no project's.
STACK_LINE = re.compile(
    r"^[ \t]+at (?:async )?(?:(?P<js>[^\s(][^(\n]*?) \()?(?:file://)?(?P<jsfile>(?:node:)?[^\s():]*[/.][^\s():]*)"
    r":\d+:\d+\)?[ \t]*$"
    r"|^[ \t]+at (?P<java>[\w.$]+)\.(?P<method>[\w$<>]+)\((?P<javafile>\w+\.(?:java|kt|scala|groovy)):\d+\)"
    r"|^[ \t]+at (?P<net>[\w.<>`]+)\([^)\n]*\) in (?P<netfile>.+):line \d+"
    r"|panicked at (?:'[^'\n]*', )?(?P<rust>[\w./\\-]+\.rs):\d+:\d+"
    r"|^[ \t]+(?P<go>[\w./-]+\.go):\d+(?::|\s)"
    r"|^(?P<php>/[^\s:]+\.php):\d+$"
    r"|^ \u276f (?:(?P<vitest>[^\s(]\S*) )?(?P<vitestfile>[^\s:]*[/.][^\s:]*):\d+:\d+$",
    re.MULTILINE,
)
"""A line of another language's stack."""
_LIBRARY_CLASS = re.compile(
    r"(?:java|javax|jdk|sun|com\.sun|kotlin|kotlinx|scala|org\.(?:junit|apache|springframework|hibernate|postgresql|opentest4j"
    r"|mockito|gradle|assertj|hamcrest|testng)|io\.(?:netty|grpc|lettuce)|reactor|okhttp3|com\.(?:zaxxer|fasterxml|google)|redis)\."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line of a traceback: its file, its function (without its class) and its source, each empty where unknown."""

    path: str
    function: str = ""
    source: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether it lies in the project and not in a library or in the language itself."""
        return not _NOT_OURS.search(self.path)


def places_in(text: str) -> tuple[Place, ...]:
    """The places of a traceback, the innermost last."""
    text = text[-LONGEST_SECTION:]
    found: list[Place] = []
    end = 0
    for place in _PLACE.finditer(text):
        path, _, function, _ = place.groups()
        if function:
            source = text[place.end() : place.end() + 300].lstrip("\n").split("\n", 1)[0].strip()
        else:
            block = text[end : place.start()]
            block = block[max(0, block.rfind("\n_ _")) :]
            marked = _MARKED.findall(block)
            source = marked[-1][:LONGEST_LINE].strip() if marked else ""
            function = named[1] if (named := _DEF.search(block)) else ""
        found.append(Place(path=path, function=_plain(function), source=source))
        end = place.end()
    if not found and 'File "' in text:
        found = [
            Place(path=path, function=_plain(function), source=source.strip(" |"))
            for path, _, function, source in _NATIVE.findall(text)
        ]
    return tuple(found) or tuple(reversed([*_stack(text)]))


def statement_in(text: str) -> tuple[str, ...]:
    """The lines of the statement that pytest marks as the one that raised; one empty line where it marks none."""
    text = text[-LONGEST_SECTION:]
    *_, begun = (None, *_MARKED.finditer(text))
    if begun is None:
        return ("",)
    further = takewhile(
        lambda line: line.strip() and not line.startswith(("E ", ">", "E\n")) and not _PLACE.match(line),
        text[begun.end() + 1 :].split("\n"),
    )
    lines = [begun[1][:LONGEST_LINE].strip()]
    for line in further:
        lines.append(line.strip())
        if sum(map(len, lines)) > LONGEST_LINE:
            return tuple(lines[:1])
    return tuple(lines)


def _stack(text: str) -> list[Place]:
    """The lines of another language's stack, the innermost first."""
    found: list[Place] = []
    marked = _MARKED.findall(text)
    source = marked[-1].strip() if marked else ""
    for line in STACK_LINE.finditer(text):
        if line["java"]:
            if not _LIBRARY_CLASS.match(f"{line['java']}."):
                found.append(Place(path=line["javafile"], function=line["method"], source=source))
        elif line["net"]:
            found.append(Place(path=line["netfile"], function=line["net"].rpartition(".")[2], source=source))
        else:
            path = line["jsfile"] or line["vitestfile"] or line["rust"] or line["go"] or line["php"]
            named = line["js"] or line["vitest"] or ""
            function = named.removeprefix("new ").rpartition(".")[2]
            found.append(Place(path=path, function="" if "<anonymous>" in named else function, source=source))
    return found


def _plain(function: str) -> str:
    """The function's own name, without its class or the function around it; comprehensions have none."""
    name = function.rpartition(".")[2]
    return "" if name.startswith("<") and name != "<module>" else name
