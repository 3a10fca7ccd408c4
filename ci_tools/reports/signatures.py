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

from ci_tools.model.case import Failure
from ci_tools.reports.clients import CUT_SHORT, DISCONNECTED, SILENT, STATUS, UNENCRYPTED, UNRESOLVED
from ci_tools.reports.comparisons import (
    Comparison,
    asked_for,
    comparison_of,
    expectation_of,
    first_name,
    given_to,
    without_message,
)
from ci_tools.reports.language import CIRCLE
from ci_tools.reports.places import (
    circle_of,
    client_of,
    fixture_place,
    hung_at,
    is_test,
    place_of,
    places_of,
    raised_place,
    servers_in_source,
    setting_of,
)
from ci_tools.reports.protocols import product_of
from ci_tools.reports.roots import Root, links_of
from ci_tools.reports.wording import FIRST_EPHEMERAL_PORT, Servers, Wording, wording_of

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
        if self.type_name == STATUS and _status_in(self.hard) in _ABOUT_A_PAGE:
            return replace(self, context="", server=server)
        masked = self.masked.partition(" at ")[0] if self.type_name == UNRESOLVED else self.masked
        return replace(self, masked=masked, place="", context="", server=server)


def signature_of(failure: Failure, *, root: str = "", test: str = "") -> Signature:
    """The signature of ``failure`` by itself; paths below ``root`` are made relative to it, ``test`` is the failing test's ID."""
    signature, contact = base_of(failure, root=root, test=test)
    server = next((server for server in contact.servers if port_of(server) < FIRST_EPHEMERAL_PORT), "")
    return signature.of_server(server) if server else signature


def port_of(server: str) -> int:
    """The port of ``host:port``."""
    return int(server.rpartition(":")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What a failure tells of a server: which, as far as it says so, and what it did.

    ``servers`` is ``host:port`` of each that is named, whatever the port looks like. ``fault`` is only set where what the server
    did (refused, hung up, a status) is all that is known.
    """

    servers: Servers = ()
    fault: str = ""


NO_CONTACT = Contact()

GARBLED = "garbled"
"""The fault of a server whose answers cannot be read."""


def base_of(failure: Failure, *, root: str = "", test: str = "") -> tuple[Signature, Contact]:
    """The signature of ``failure`` where no server is known, and what it tells of one.

    ``of_server`` makes it a signature of one of them.
    """
    links = links_of(failure)
    if "\nassert " in links[0].message:
        links = (without_message(links[0], root), *links[1:])
    said, servers = wording_of(links[0].type_name, links[0].message)
    if said.type_name == "TimeoutError" and said.is_generic:
        outer = (wording_of(link.type_name, link.message) for link in links[1:])
        said, servers = next((found for found in outer if found[0].type_name == SILENT), (said, servers))
    signature, servers = _without_server(failure, links, said, servers, root, test)
    fault = _fault_of(said)
    return signature, Contact(servers=servers, fault=fault) if servers or fault else NO_CONTACT


def _without_server(
    failure: Failure, links: Sequence[Root], said: Wording, servers: Servers, root: str, test: str
) -> tuple[Signature, Servers]:
    signature = _worded(said)
    origin = links[0]
    if seen := _in_test(signature, said, origin, root, test) or _in_words(signature, said, origin, root, test):
        return seen, ()
    if said.is_generic and signature.type_name != _TIMED_OUT:
        return _of_nameless(signature, links, said, servers, root)
    if signature.type_name == _TIMED_OUT:
        signature = replace(signature, place=hung_at(links, root, test))
    elif said.masked.startswith("DID NOT "):
        signature = replace(signature, place=" ".join(expectation_of(origin, root)))
    elif unraised := _NOT_RAISED.fullmatch(said.masked):
        place = " ".join(expectation_of(origin, root)) or unraised[2] or ""
        signature = replace(signature, type_name="Failed", masked=f"DID NOT RAISE {unraised[1]}", hard=(), place=place)
    elif said.is_bare or (origin.type_name.endswith("AssertionError") and _status_of(signature, origin)):
        signature = _of_comparison(signature, said, origin, root, test)
    elif said.type_name == STATUS and (status := _status_in(said.hard)):
        signature = _answered(signature, status, _path_in(said.masked) or (place_of(links, root) if said.is_nobodys else ""))
    elif place := _place_of_words(failure, links, said, root):
        signature = replace(signature, place=place)
    return signature, servers


def _of_comparison(signature: Signature, said: Wording, origin: Root, root: str, test: str) -> Signature:
    """What a test compared: a status, or what came instead of an answer, or a line's own subject."""
    if not (status := _status_of(signature, origin)):
        return _compared(signature, said, origin, comparison_of(origin, root, test))
    signature = _answered(signature, status, "" if status in _ABOUT_THE_SERVER else asked_for(origin, root))
    expected = _STATUS_EXPECTED.search(origin.message) if status[0] in "23" else None
    return replace(signature, hard=(*signature.hard, f"instead of {expected[1]}")) if expected else signature


def _place_of_words(failure: Failure, links: Sequence[Root], said: Wording, root: str) -> str:
    """Where words that name something were said, if that matters."""
    if said.masked == CIRCLE:
        return circle_of(links[0], root)
    place = fixture_place(failure, links, root) or raised_place(links[0], root)
    return place or (place_of(links, root) if said.is_nobodys else "")


def _answered(signature: Signature, status: str, place: str) -> Signature:
    """An answer by its status, whoever tells of it: a client, or a test that compared; the place is what was asked for."""
    said = f"HTTP status {status}"
    return replace(signature, type_name=STATUS, masked=said, hard=(said,), details=(), place=place)


def _path_in(masked: str) -> str:
    """Host, where it has a name of its own, and the first name of the path that a client asked for."""
    found = _ADDRESS.search(masked)
    if found is None:
        return ""
    host = "" if _NO_NAME.fullmatch(found[1]) else found[1]
    return f"{host}/{first_name(found[2])}" if host or found[2].strip("/") else ""


_ADDRESS = re.compile(r" for \w+://([^/\s]*)(\S*)")
_NO_NAME = re.compile(r"(?:<ip>|localhost|testserver|test)?(?::<port>|:\d+)?")


def _status_of(signature: Signature, origin: Root) -> str:
    """The status that a failed comparison looked at, or that the answer has which it looked into."""
    found = _STATUS_COMPARED.search(signature.masked) or _STATUS_COMPARED.search(" ".join(signature.details))
    found = found or _SHOWN_ANSWER.search(origin.message) or _RESPONSE_CODE.search(origin.message)
    if found is None and (unequal := _STATUS_UNEQUAL.match(origin.message)) and "status" in (origin.marked or origin.text):
        found = unequal
    return found[1] if found else ""


def _of_nameless(
    signature: Signature, links: Sequence[Root], said: Wording, servers: Servers, root: str
) -> tuple[Signature, Servers]:
    """What a root that names nothing is known by: a server, a product, or else the place and what was raised from it."""
    outer = [wording_of(link.type_name, link.message) for link in links[1:]]
    servers = _with_names(servers, [others for _, others in outer]) or next((others for _, others in outer if others), ())
    if said.is_refused and not servers:
        servers = servers_in_source(links, root)
    if _is_own_type(said.type_name) and said.masked != said.type_name:
        return signature, servers
    if (said.is_refused or _SILENT.search(said.type_name)) and (product := product_of(links)):
        return replace(signature, context=product), servers
    if said.is_refused and (setting := setting_of(links, root)):
        return replace(signature, place=f"'{setting}'"), servers
    context, is_named = _context([other for other, _ in outer])
    place = "" if is_named else place_of(links, root)
    is_answer = _is_answer(said, links, root)
    if not is_named and (is_answer or (_is_garbled(said) and _is_wrapped_there(links, root))):
        context = ""
    if place.count(":") == 1 and not place.startswith(":") and (said.is_refused or is_answer):
        client = client_of(links, root, is_path_its_name=_is_garbled(said))
        # Of one client of one server: whichever of its functions was called first.
        place = client or (place.partition(":")[0] if said.is_refused or said.type_name in _OF_CONNECTIONS else place)
    return replace(signature, place=place, context=context), servers


def _is_wrapped_there(links: Sequence[Root], root: str) -> bool:
    """Whether all that was raised from the root was raised in its own file: what goes wrong there is that file's alone."""
    files = [ours[-1].path if (ours := places_of(link, root)) else "" for link in links]
    return bool(files[0]) and len(set(files)) == 1


def _with_names(servers: Servers, outer: Sequence[Servers]) -> Servers:
    """With the names of their hosts, where only what was raised from the root says these."""
    named = {server.rpartition(":")[2]: server for others in outer for server in others if not server.startswith(":")}
    return tuple(named.get(server[1:], server) if server.startswith(":") else server for server in servers)


def _compared(signature: Signature, said: Wording, origin: Root, line: Comparison) -> Signature:
    hard = (*signature.hard, *said.compared) if line.are_values_firm else signature.hard
    shown = [token for token in said.shown if not _is_shown_only(token, origin.message)] if line.are_values_firm else []
    details = tuple(sorted({*signature.details, *shown, *(f"'{key}'" for key in line.keys)}))
    return replace(signature, place=line.place, test=line.test, hard=hard, details=details)


def _in_test(signature: Signature, said: Wording, origin: Root, root: str, test: str) -> Signature | None:
    """What a test's own line could not do with what it had called, as a comparison of it; None where it called nothing."""
    if signature.type_name not in _OF_VALUES or not (said.is_generic or signature.type_name == "KeyError"):
        return None
    ours = places_of(origin, root)
    if not ours or not is_test(ours[-1]):
        return None
    line = comparison_of(origin, root, test)
    if line.are_values_firm or not line.test:
        return None
    missed = signature.hard if signature.type_name == "KeyError" else ()
    details = tuple(sorted({*missed, *(f"'{key}'" for key in line.keys)}))
    return replace(signature, place=line.place, test=line.test, hard=(), details=details)


def _in_words(signature: Signature, said: Wording, origin: Root, root: str, test: str) -> Signature | None:
    """What a helper of the tests said in words of what it was given, as a comparison; None where the words name something."""
    if not origin.type_name.endswith("AssertionError") or said.is_bare or said.hard or _status_of(signature, origin):
        return None
    given = given_to(origin, root, test)
    keys = tuple(sorted(f"'{key}'" for key in given.keys)) if given else ()
    return replace(signature, masked="assert", place=given.place, test=given.test, details=keys) if given else None


_OF_VALUES = frozenset({"TypeError", "AttributeError", "IndexError", "KeyError"})


def _is_shown_only(token: str, message: str) -> bool:
    """Whether a quoted token is a part of how an object shows itself: a module's name, a field's value."""
    return f"<module {token} from" in message or f"={token}" in message


def _is_answer(said: Wording, links: Sequence[Root], root: str) -> bool:
    """Whether something went wrong with what a server answered, or was to answer, and the words name neither."""
    if said.type_name in _OF_CONNECTIONS or said.type_name == SILENT:
        return True
    innermost = next((ours[-1] for link in links if (ours := places_of(link, root))), None)
    return _is_garbled(said) and innermost is not None and _READS_ANSWER.search(innermost.source) is not None


def _is_garbled(said: Wording) -> bool:
    return said.type_name.endswith("JSONDecodeError")


_READS_ANSWER = re.compile(r"\.json\(|\b(?:response|resp|answer|reply|res|r)\b.*\.(?:text|content|body|read\()|\burlopen\(")


def _fault_of(said: Wording) -> str:
    """What a server did; empty for what is no server's fault."""
    if said.is_refused:
        return "refused"
    if said.type_name in {UNRESOLVED, UNENCRYPTED, DISCONNECTED, CUT_SHORT}:
        return said.masked
    if _is_garbled(said):
        return GARBLED
    if said.type_name == STATUS or _is_own_type(said.type_name):
        status = _status_in(said.hard)
        if said.type_name == STATUS or status in _ABOUT_THE_SERVER:
            return status
    return "silent" if _TIMEOUT.search(said.type_name) else ""


def _status_in(hard: Sequence[str]) -> str:
    """The only HTTP status among hard tokens; empty where there is none or a choice."""
    statuses = {found[0] for token in hard if token[0] not in "'\"`/" and (found := _STATUS.search(token))}
    return statuses.pop() if len(statuses) == 1 else ""


@lru_cache(maxsize=4096)
def _worded(said: Wording) -> Signature:
    """The signature that a wording alone makes, the same object for the same wording."""
    if _HANGS.search(said.type_name) or _HANGS_AS.match(said.masked):
        return Signature(type_name=_TIMED_OUT, masked=_TIMED_OUT, is_refused=said.is_refused)
    return Signature(
        type_name=said.type_name, masked=said.masked, hard=said.hard, details=said.details, is_refused=said.is_refused
    )


_TIMEOUT = re.compile(r"(?:Timeout\w*|TimedOut\w*)\Z")
_OF_CONNECTIONS = frozenset({UNRESOLVED, UNENCRYPTED})
"""What kept a client from its server, in words that name neither."""

_STATUS = re.compile(r"(?<!\d)[1-5]\d\d(?!\d)")
_NOT_RAISED = re.compile(r"(\w+) not raised(?: by (\w+))?")
"""unittest's way of saying it."""
_SHOWN_ANSWER = re.compile(r"<\w*Response\b[^\[\n]*\[([45]\d\d)\b")
"""How clients show an answer that refused, beside what a test looked for in it."""
_RESPONSE_CODE = re.compile(r"\bResponse code was ([1-5]\d\d) \(expected [1-5]\d\d\)")
"""Django's own assertions."""
_STATUS_UNEQUAL = re.compile(r"([1-5]\d\d) != [1-5]\d\d\b")
"""unittest's way of saying it."""
_STATUS_EXPECTED = re.compile(r"\b[1-5]\d\d [=!]= ([1-5]\d\d)\b")
_STATUS_COMPARED = re.compile(r"\b([1-5]\d\d) == [1-5]\d\d\b")
_ABOUT_THE_SERVER = frozenset({"401", "407", "429", "502", "503", "504", "511"})
"""Whatever was asked for: it is the server that cannot answer, or does not answer this client."""
_ABOUT_A_PAGE = frozenset({"400", "404", "405", "409", "410", "415", "422"})
"""One server says so of one page and not of the next."""

_TIMED_OUT = "timed out"  # as a type, no exception's: it has a space
_HANGS = re.compile(r"(?:\A|\.)TimedOutError\Z")
_HANGS_AS = re.compile(r"(?:Failed: )?Timeout \(?>?\s?<n>\)? from pytest-timeout")
_TRANSPORT = re.compile(
    r"(?:Connect\w*|Timeout\w*|Cancel\w*|Network\w*|Transport\w*|Protocol\w*|Read\w*|Write\w*|Pool\w*)(?:Error|Exception|Timeout)?\Z"
    r"|Timeout\w*\Z"
)


def _is_own_type(type_name: str) -> bool:
    """Whether the type itself says what went wrong: one of a library or of the project, and none of a transport."""
    module, _, name = type_name.rpartition(".")
    return bool(module) and module.partition(".")[0] not in sys.stdlib_module_names and not _TRANSPORT.match(name)


_SILENT = re.compile(r"(?:\A|\.)Timeout\w*\Z")


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
