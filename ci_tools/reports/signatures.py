"""The signature of a failure: what stays of it when ids, times, paths and ports are taken out.

Pure, and made of the failure alone: the same failure has the same signature in every run, on every machine. It is the root
exception's wording and, as far as that names nothing that could be mended, the server that it was about, or else the place in
the project's code and what was raised from it.
"""

import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from ci_tools.model.case import Failure, Phase
from ci_tools.reports.clients import STATUS, UNRESOLVED
from ci_tools.reports.roots import Place, Root, links_of
from ci_tools.reports.wording import FIRST_EPHEMERAL_PORT, Servers, Wording, servers_in, wording_of

VERSION = "sig-v2"
"""Part of every signature: whoever changes the masking changes this, so that old ones are not taken for new ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Masked form of a root exception.

    ``hard`` are the tokens that tell causes apart and may never be masked: errno, HTTP status, exit codes, quoted names;
    ``details`` are those of the message's further lines. ``server`` is ``host:port`` where the port looks chosen and not handed
    out. ``place`` (file and function of the project) and ``context`` (what was raised from the root: types and names, outwards)
    are only set for a root that names nothing. ``test`` is the test function whose own line compared two values, and no part of
    what makes two signatures equal.
    """

    type_name: str
    masked: str
    hard: tuple[str, ...] = ()
    place: str = ""
    details: tuple[str, ...] = ()
    context: str = ""
    server: str = ""
    is_refused: bool = field(default=False, compare=False)
    test: str = field(default="", compare=False)
    fault: str = field(default="", compare=False)
    """What a server did, where that is all that is known (refused, silent, a status, unknown), and the file that asked it."""

    @property
    def id(self) -> str:
        """Stable ID: the algorithm's version and 12 hexadecimal digits."""
        parts = (self.type_name, self.masked, *self.hard, self.place, *self.details, *filter(None, (self.context, self.server)))
        return f"{VERSION}:{hashlib.sha256(chr(10).join(parts).encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"

    @property
    def rule(self) -> str:
        """Readable pattern behind the ID: ``ConnectionRefusedError: connect to * failed``."""
        text = re.sub(r"(?:<[a-z]+>\W*)*<[a-z]+>", "*", self.masked)
        head = f"{self.type_name}: {text}" if self.type_name and self.type_name != text else text or self.type_name
        said = " ".join((*(token for token in self.hard if token not in self.masked), *self.details))
        head = f"{head} … {said}" if said else head
        head = f"{head} by {self.server}" if self.server else head
        head = f"{head} at {self.place}" if self.place else head
        return f"{head} in {self.context}" if self.context else head

    def of_server(self, server: str) -> "Signature":
        """The same, known to be about this server: then neither place nor context matter, and a refusal is a refusal."""
        if self.is_refused:
            return replace(
                self,
                type_name="ConnectionRefusedError",
                masked="refused",
                hard=(),
                details=(),
                place="",
                context="",
                server=server,
            )
        if self.type_name == STATUS and any(token in self.hard for token in _UNAVAILABLE):
            return replace(self, masked=self.hard[-1], hard=self.hard[-1:], place="", context="", server=server)
        return replace(self, place="", context="", server=server)


def signature_of(failure: Failure, *, root: str = "", test: str = "") -> Signature:
    """The signature of ``failure`` by itself; paths below ``root`` are made relative to it, ``test`` is the failing test's ID."""
    signature, servers = base_of(failure, root=root, test=test)
    server = next((server for server in servers if port_of(server) < FIRST_EPHEMERAL_PORT), "")
    return signature.of_server(server) if server else signature


def port_of(server: str) -> int:
    """The port of ``host:port``."""
    return int(server.rpartition(":")[2])


def base_of(failure: Failure, *, root: str = "", test: str = "") -> tuple[Signature, Servers]:
    """The signature of ``failure`` where no server is known, and the servers that it names, whatever their ports look like.

    ``of_server`` makes it a signature of one of them.
    """
    links = links_of(failure)
    said, servers = wording_of(links[0].type_name, links[0].message)
    signature = _worded(said)
    if (kind := _fault_of(said)) and (place := _place(links, root)):
        signature = replace(signature, fault=f"{kind} in {place.partition(':')[0]}")
    if signature.type_name == _TIMED_OUT:
        return replace(signature, place=_hung_at(links, root, test)), servers
    if said.is_bare:
        return _compared(signature, said, links[0], root, test), servers
    if not said.is_generic:
        place = _fixture_place(failure, links, root) or _raised_place(links[0], root)
        place = place or (_place(links, root) if said.is_nobodys else "")
        return replace(signature, place=place) if place else signature, servers
    outer = [wording_of(link.type_name, link.message) for link in links[1:]]
    servers = servers or next((others for _, others in outer if others), ())
    if said.is_refused and not servers:
        servers = _servers_in_source(links, root)
    if _is_own_type(said.type_name) and said.masked != said.type_name:
        return signature, servers
    if (said.is_refused or _SILENT.search(said.type_name)) and (product := _product(links)):
        return replace(signature, context=product), servers
    context, is_named = _context([other for other, _ in outer])
    place = "" if is_named else _place(links, root)
    if said.type_name == UNRESOLVED and not is_named:
        context = ""
    if (said.is_refused or said.type_name == UNRESOLVED) and place.count(":") == 1 and not place.startswith(":"):
        place = place.partition(":")[0]  # one client of one server: whichever of its functions was called first
    return replace(signature, place=place, context=context), servers


def _fault_of(said: Wording) -> str:
    """What a server did; empty for what is no server's fault."""
    if said.is_refused:
        return "refused"
    if said.type_name == STATUS and (found := _STATUS.search(said.masked)):
        return found[0]
    if said.type_name == UNRESOLVED:
        return "unresolved"
    return "silent" if _TIMEOUT.search(said.type_name) else ""


@lru_cache(maxsize=4096)
def _worded(said: Wording) -> Signature:
    """The signature that a wording alone makes, the same object for the same wording."""
    if _HANGS.search(said.type_name) or _HANGS_AS.match(said.masked):
        return Signature(type_name=_TIMED_OUT, masked=_TIMED_OUT, is_refused=said.is_refused)
    return Signature(
        type_name=said.type_name, masked=said.masked, hard=said.hard, details=said.details, is_refused=said.is_refused
    )


_TIMEOUT = re.compile(r"(?:Timeout\w*|TimedOut\w*)\Z")
_STATUS = re.compile(r"HTTP status \d+")
_UNAVAILABLE = ("HTTP status 502", "HTTP status 503", "HTTP status 504")
"""Whatever was asked for: it is the server that cannot answer."""

_TIMED_OUT = "timed out"  # as a type, no exception's: it has a space
_HANGS = re.compile(r"(?:\A|\.)TimedOutError\Z")
_HANGS_AS = re.compile(r"(?:Failed: )?Timeout \(?>?\s?<n>\)? from pytest-timeout")
_TEST_FILE = re.compile(
    r"(?:\A|[\\/])(?:test_[^\\/]*|[^\\/]*_test|[^\\/]*[.-](?:test|spec|cy|e2e)|[^\\/]*Tests?|[^\\/]*Spec)\.\w+\Z"
)
_TEST_FUNCTION = re.compile(r"\Atest(?:[_A-Z].*)?\Z")
_TRANSPORT = re.compile(
    r"(?:Connect\w*|Timeout\w*|Cancel\w*|Network\w*|Transport\w*|Protocol\w*|Read\w*|Write\w*|Pool\w*)(?:Error|Exception|Timeout)?\Z"
    r"|Timeout\w*\Z"
)
_TAKEN = re.compile(
    r"\A(?:return|await|yield|raise|assert)\s+|\A[\w, .\[\]'\"]+(?::[^=]+)?=(?!=)\s*|\s*#.*\Z|\A(?:async )?with\s+"
)


def _is_own_type(type_name: str) -> bool:
    """Whether the type itself says what went wrong: one of a library or of the project, and none of a transport."""
    module, _, name = type_name.rpartition(".")
    return bool(module) and module.partition(".")[0] not in sys.stdlib_module_names and not _TRANSPORT.match(name)


_PRODUCTS = {
    "redis": "redis",
    "valkey": "redis",
    "postgres": "postgres",
    "psycopg": "postgres",
    "psycopg2": "postgres",
    "asyncpg": "postgres",
    "pymongo": "mongodb",
    "pymysql": "mysql",
    "MySQLdb": "mysql",
    "aiomysql": "mysql",
    "pika": "rabbitmq",
    "aio_pika": "rabbitmq",
    "aiormq": "rabbitmq",
    "kafka": "kafka",
    "aiokafka": "kafka",
    "elasticsearch": "elasticsearch",
    "nats": "nats",
}
"""The module of a client, and what it speaks to: whichever way one came there, it is that server that refuses."""


_SILENT = re.compile(r"(?:\A|\.)Timeout\w*\Z")


def _product(links: Sequence[Root]) -> str:
    return next((_PRODUCTS[module] for link in links if (module := link.type_name.partition(".")[0]) in _PRODUCTS), "")


def _context(outer: Sequence[Wording]) -> tuple[str, bool]:
    """Types and names of what was raised from the root, outwards, and whether the last of them names something."""
    said: list[str] = []
    is_named = False
    for wording in outer:
        said.append(" ".join((wording.type_name, *wording.hard, *wording.details)))
        is_named = any(token[0] in "'\"`" for token in wording.hard)
        if is_named:
            break
    return " < ".join(said), is_named


def _places(link: Root, root: str) -> list[Place]:
    """Where the project's code stood, the innermost last."""
    ours = [place for place in link.places() if place.is_ours]
    if not ours and link.frame is not None:
        frame = Place(path=link.frame.path, function=link.frame.function.rpartition(".")[2], source="")
        ours = [frame] if frame.is_ours else []
    return [replace(place, path=relative(place.path, root)) for place in ours]


def _is_test(place: Place) -> bool:
    """Whether it is a test's own code, and none that tests share."""
    is_named_so = not place.path.endswith(".py") or not place.function or _TEST_FUNCTION.match(place.function) is not None
    return is_named_so and _TEST_FILE.search(place.path) is not None


def short(path: str) -> str:
    """The file and its folder: checkouts lie in different places."""
    return "/".join(path.replace("\\", "/").split("/")[-2:])


def _plain_source(source: str) -> str:
    """A source line without what its value is taken for."""
    previous = ""
    while source != previous:
        previous, source = source, _TAKEN.sub("", source)
    return source.rstrip(":; ")


def _place(links: Sequence[Root], root: str) -> str:
    """File and function of the innermost code of the project; a test's own line where only that is known."""
    for link in links:
        ours = _places(link, root)
        if not ours:
            continue
        place = ours[-1]
        if _is_test(place):
            return _plain_source(place.source or link.marked)
        return f"{short(place.path)}:{place.function or _plain_source(place.source or link.marked)}"
    return _plain_source(links[0].marked) if links[0].text else ""


def _fixture_place(failure: Failure, links: Sequence[Root], root: str) -> str:
    """Where a set-up or tear-down was given up by code of the project: what a fixture says itself is that fixture's alone."""
    if failure.phase not in {Phase.SETUP, Phase.TEARDOWN}:
        return ""
    places = links[0].places()
    place = _place(links, root) if places and places[-1].is_ours else ""
    fixture = raising_fixture(failure)
    is_raised_there = fixture is not None and place.endswith(f":{fixture[0]}")
    return place if is_raised_there or (place and places[-1].source.startswith("raise ")) else ""


def _raised_place(origin: Root, root: str) -> str:
    """Where shared code of the project raised an error itself: the same words or missed key elsewhere are another fault."""
    if origin.type_name != "KeyError" and "raise " not in origin.text and "assert " not in origin.text:
        return ""  # cheap to see, and so in most failures
    places = origin.places()
    if not places or not places[-1].is_ours:
        return ""
    if origin.type_name != "KeyError" and not places[-1].source.startswith(("raise ", "assert ")):
        return ""
    ours = _places(origin, root)[-1]
    return "" if _is_test(ours) or not ours.function else f"{short(ours.path)}:{ours.function}"


def _servers_in_source(links: Sequence[Root], root: str) -> tuple[str, ...]:
    """The server that the project's lines name, the innermost that names one: many clients do not say whom they called."""
    for link in links:
        for place in reversed(_places(link, root)):
            if found := servers_in(place.source) or tuple(f":{port}" for port in _PORT.findall(place.source)):
                return found
    return ()


def _hung_at(links: Sequence[Root], root: str, test: str) -> str:
    """Where a test that took too long stood: also in its own code."""
    for link in links:
        if ours := _places(link, root):
            return f"{short(ours[-1].path)}:{ours[-1].function or _plain_source(ours[-1].source)}"
    return test.partition("[")[0]


def _compared(signature: Signature, said: Wording, origin: Root, root: str, test: str) -> Signature:
    """A bare comparison: its line tells what was compared; in code that tests share, the values do too."""
    function = test.partition("[")[0]
    ours = _places(origin, root)
    source = _plain_source((ours[-1].source if ours else "") or origin.marked)
    if ours and not _is_test(ours[-1]):
        place = f"{short(ours[-1].path)}:{ours[-1].function}:{source}"
        return replace(signature, place=place, hard=(*signature.hard, *said.compared))
    if _CALL.search(source):
        plain = _SUM.sub("*", _EMPTY.sub("*", _LOCAL.sub("*", _LITERAL.sub("*", source))))
        # Where the line gives other values, other ones come out.
        return replace(
            signature, place=plain, test=function, hard=signature.hard if plain != source else (*signature.hard, *said.compared)
        )
    if not source and (called := _CALLED.search(origin.message)):
        return replace(signature, place=called[1], test=function)
    path = short(ours[-1].path) if ours else ""
    line = source or (ours[-1].function if ours else "")
    place = f"{path}:{line}" if path and line else line or function
    return replace(signature, place=place, test=function, hard=(*signature.hard, *said.compared))


_CALLED = re.compile(r"^ *\+ +where .* = <(?:bound method|function) ([\w.]+)", re.MULTILINE)
_LITERAL = re.compile(r"(?<!\w)(?:[bruf]{0,2}(?:'[^'\n]*'|\"[^\"\n]*\")|-?\d[\d_.]*)(?!\w)")
# What a test gives and expects stands there as a literal in one test, in a variable in the next.
_LOCAL = re.compile(r"(?<![\w.])(?!(?:not|in|is|and|or|for|if|else|lambda|await|assert|None|True|False)\b)[a-z_]\w*(?![\w(.\[])")
_SUM = re.compile(r"\*(?:\s*(?://|[-+*/%])\s*\*)+")
_EMPTY = re.compile(r"\[[*, ]*\]|\{[*,: ]*\}|(?<![\w.])(?:set|dict|list|tuple)\(\)")
_PORT = re.compile(r"[(,=]\s*(\d{4,5})\s*[,)]")


_CALL = re.compile(
    r"(?<![\w.])(?!(?:len|list|set|sorted|dict|str|int|float|tuple|isinstance|all|any|sum|repr|bool|type|abs|min|max|expect|not|in"
    r"|is|and|or|range|round|next|iter|response|resp|res|r|result|self|client)\b)(?:\w+\.)*\w+\("
)


def relative(path: str, root: str) -> str:
    """``path`` with forward slashes, relative to ``root`` where it lies below it."""
    path = path.replace("\\", "/")
    prefix = root.replace("\\", "/").rstrip("/") + "/"
    return path.removeprefix(prefix) if root else path


_FIXTURE = re.compile(
    r"@(?:pytest|pytest_asyncio|anyio)\.fixture(\([^)]*\))?[^\n]*\n(?:[> ]?\s*@[^\n]*\n)*[> ]?\s*(?:async )?def (\w+)\(",
    re.MULTILINE,
)
_SCOPE = re.compile(r"""scope\s*=\s*["'](\w+)["']""")


def raising_fixture(failure: Failure) -> tuple[str, str, str] | None:
    """Name, scope and path of the fixture that raised; out of the traceback's source lines where nobody recorded it."""
    if failure.fixture:
        return failure.fixture, failure.fixture_scope or "function", failure.fixture_path or ""
    if failure.phase not in {Phase.SETUP, Phase.TEARDOWN} or "fixture" not in failure.text:
        return None
    found = _FIXTURE.findall(failure.text)
    if not found:
        return None
    arguments, name = found[-1]
    scope = _SCOPE.search(arguments)
    return name, scope[1] if scope else "function", ""
