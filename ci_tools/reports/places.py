"""Where in the project a failure stood: the code that raised, and the code that asked. Pure."""

import re
from collections.abc import Sequence
from dataclasses import replace

from ci_tools.model.case import Failure, Phase
from ci_tools.reports.roots import Root, links_of
from ci_tools.reports.traces import LONGEST_SECTION, Place
from ci_tools.reports.wording import servers_in

_TEST_FILE = re.compile(
    r"(?:\A|[\\/])(?:test_[^\\/]*|[^\\/]*_test|[^\\/]*[.-](?:test|spec|cy|e2e)|[^\\/]*Tests?|[^\\/]*Spec)\.\w+\Z"
)

_TEST_FUNCTION = re.compile(r"\Atest(?:[_A-Z].*)?\Z")

_TAKEN = re.compile(
    r"\A(?:return|await|yield|raise|assert)\s+|\A[\w, .\[\]'\"]+(?::[^=]+)?=(?!=)\s*|\s*#.*\Z|\A(?:async )?with\s+"
)

_SELF = re.compile(r"^self = <([\w.]+) object", re.MULTILINE)

_MADE = re.compile(r"(?<![\w.])(?:\w+\.)*([A-Z][A-Za-z]*[a-z][A-Za-z]*)\([^()]*(?:\([^()]*\)[^()]*)*\)\.\w+\(")
"""``Insurer(url).policy(``: an object that is made and called in one line."""

_GIVES_UP = re.compile(r"raise |assert |(?:pytest|self)\.(?:fail|exit)\(")
_PORT = re.compile(r"[(,=]\s*(\d{4,5})\s*[,)]")

_FIXTURE = re.compile(
    r"@(?:pytest|pytest_asyncio|anyio)\.fixture(\([^)]*\))?[^\n]*\n(?:[> ]?\s*@[^\n]*\n)*[> ]?\s*(?:async )?def (\w+)\(",
    re.MULTILINE,
)

_FIXTURE_SHOWN = re.compile(r"<FixtureDef argname='(\w+)' scope='(\w+)'")
"""How pytest shows a fixture among the arguments of a plugin's hook."""

_SCOPE = re.compile(r"""scope\s*=\s*["'](\w+)["']""")

_CALLED_SERVER = re.compile(r"\(['\"](?!(?:GET|HEAD|POST|PUT|PATCH|DELETE)['\"])([A-Za-z][A-Za-z_-]{2,30})['\"]")
"""A name that is the first thing given to a call: ``url("maps", path)``."""

_ASKED_FOR = re.compile(r"\(f?['\"]/(?:(?:api|rest|v\d{1,2})/)*([A-Za-z][A-Za-z_-]{2,30})(?=['\"/?])")


def places_of(link: Root, root: str) -> list[Place]:
    """Where the project's code stood, the innermost last."""
    ours = [place for place in link.places() if place.is_ours]
    if not ours and link.frame is not None:
        frame = Place(path=link.frame.path, function=link.frame.function.rpartition(".")[2], source="")
        ours = [frame] if frame.is_ours else []
    return [replace(place, path=relative(place.path, root)) for place in ours]


def is_test(place: Place) -> bool:
    """Whether it is a test's own code, and none that tests share."""
    is_named_so = not place.path.endswith(".py") or not place.function or _TEST_FUNCTION.match(place.function) is not None
    return is_named_so and _TEST_FILE.search(place.path) is not None


def is_of_tests(place: Place) -> bool:
    """Whether it stands in a file of tests, be it in a function that several share."""
    return _TEST_FILE.search(place.path) is not None


def short(path: str) -> str:
    """The file and its folder: checkouts lie in different places."""
    return "/".join(path.replace("\\", "/").split("/")[-2:])


def relative(path: str, root: str) -> str:
    """``path`` with forward slashes, relative to ``root`` where it lies below it."""
    path = path.replace("\\", "/")
    prefix = root.replace("\\", "/").rstrip("/") + "/"
    return path.removeprefix(prefix) if root else path


def plain_source(source: str) -> str:
    """A source line without what its value is taken for."""
    previous = ""
    while source != previous:
        previous, source = source, _TAKEN.sub("", source)
    return source.rstrip(":; ")


def place_of(links: Sequence[Root], root: str) -> str:
    """File and function of the innermost code of the project; a test's own line where only that is known."""
    for link in links:
        ours = places_of(link, root)
        if not ours:
            continue
        place = ours[-1]
        if is_test(place):
            return plain_source(place.source or link.marked)
        return f"{short(place.path)}:{place.function or plain_source(place.source or link.marked)}"
    return plain_source(links[0].marked) if links[0].text else ""


def fixture_place(failure: Failure, links: Sequence[Root], root: str) -> str:
    """Where a set-up or tear-down was given up by code of the project: what a fixture says itself is that fixture's alone."""
    if failure.phase not in {Phase.SETUP, Phase.TEARDOWN}:
        return ""
    places = links[0].places()
    place = place_of(links, root) if places and places[-1].is_ours else ""
    fixture = raising_fixture(failure)
    is_raised_there = fixture is not None and place.endswith(f":{fixture[0]}")
    return place if is_raised_there or (place and places[-1].source.startswith("raise ")) else ""


def raised_place(origin: Root, root: str) -> str:
    """Where shared code of the project raised an error itself: the same words or missed key elsewhere are another fault."""
    if origin.type_name != "KeyError" and not _GIVES_UP.search(origin.text[-LONGEST_SECTION:]):
        return ""  # cheap to see, and so in most failures
    places = origin.places()
    if not places or not places[-1].is_ours:
        return ""
    if origin.type_name != "KeyError" and not _GIVES_UP.match(places[-1].source):
        return ""
    ours = places_of(origin, root)[-1]
    return "" if is_test(ours) or not ours.function else f"{short(ours.path)}:{ours.function}"


def circle_of(origin: Root, root: str) -> str:
    """The modules that import each other: those of the traceback from the one that is not whole yet."""
    files = [short(place.path) for place in places_of(origin, root) if not _TEST_FILE.search(place.path)]
    half = _HALF_MADE.search(origin.message)
    start = f"{half[1].replace('.', '/')}.py" if half else ""
    first = next((index for index, path in enumerate(files) if start.endswith(path) or path.endswith(start)), 0)
    return " ".join(sorted({*files[first:]}))


_HALF_MADE = re.compile(r"partially initialized module '([\w.]+)'")


def hung_at(links: Sequence[Root], root: str, test: str) -> str:
    """Where a test that took too long stood: also in its own code."""
    for link in links:
        if ours := places_of(link, root):
            return f"{short(ours[-1].path)}:{ours[-1].function or plain_source(ours[-1].source)}"
    return test.partition("[")[0]


def askers_of(failure: Failure, root: str) -> tuple[tuple[str, ...], ...]:
    """Which of the project's functions, classes and files stand in the traceback, tests left out."""
    functions: dict[str, None] = {}
    classes: dict[str, None] = {}
    files: dict[str, None] = {}
    for link in links_of(failure):
        for place in places_of(link, root):
            if not _TEST_FILE.search(place.path):
                functions[f"{short(place.path)}:{place.function}"] = files[short(place.path)] = None
        classes.update(dict.fromkeys(_classes(link, root)))
    return tuple(functions), tuple(classes), tuple(files)


def _classes(link: Root, root: str) -> list[str]:
    """Whose methods of the project were called: by the objects that a traceback shows, and by what its lines make."""
    places = places_of(link, root)
    found: list[str] = []
    if "self = <" in link.text:
        packages = {place.path.removesuffix(".py").split("/")[0] for place in places} - {"tests"}
        found = [name.rpartition(".")[2] for name in _SELF.findall(link.text) if name.split(".")[0] in packages]
    return found or [made for place in places for made in _MADE.findall(place.source)]


def client_of(links: Sequence[Root], root: str, *, is_path_its_name: bool) -> str:
    """Which client of one server it was: what the project's lines call the server, else the class that speaks to it.

    The first name of the path that was asked for stands in for both where ``is_path_its_name``.
    """
    places = _outside_tests([place for link in links for place in reversed(places_of(link, root)) if not is_test(place)])
    for place in places:
        if found := _CALLED_SERVER.search(place.source):
            return f"{short(place.path)}:'{found[1]}'"
    for link in links:
        if classes := _classes(link, root):
            return classes[-1]
    for place in places if is_path_its_name else ():
        if asked := _ASKED_FOR.search(place.source):
            return f"{short(place.path)}:'{asked[1]}'"
    return ""


def setting_of(links: Sequence[Root], root: str) -> str:
    """The setting that says which server it is, where the line that asked reads it; empty where that line does not.

    The line of the code under test, or of the tests where none of that stands in the traceback.
    """
    for link in links:
        if places := _outside_tests(places_of(link, root)[::-1]):
            found = _SETTING.search(places[0].source)
            return (found[1] or found[2]) if found else ""
    return ""


_SETTING = re.compile(
    r"(?:environ(?:\.get)?[\[(]|getenv\()\s*['\"](\w+)['\"]"
    r"|\b(?:settings?|config|conf|cfg|env)\.(\w*(?:url|host|port|dsn|addr|endpoint|server)\w*)",
    re.IGNORECASE,
)


def servers_in_source(links: Sequence[Root], root: str) -> tuple[str, ...]:
    """The server that the project's lines name, the innermost that names one: many clients do not say whom they called."""
    for link in links:
        places = places_of(link, root)[::-1]
        outside = _outside_tests(places)
        for place in places:
            ports = _PORT.findall(place.source) if place in outside else ()
            if found := servers_in(place.source) or tuple(f":{port}" for port in ports):
                return found
    return ()


def _outside_tests(places: list[Place]) -> list[Place]:
    """Those in no file of tests, if there are any: what a test's file gives to the code under test is data."""
    return [place for place in places if not _TEST_FILE.search(place.path)] or places


def raising_fixture(failure: Failure) -> tuple[str, str, str] | None:
    """Name, scope and path of the fixture that raised; out of the traceback's source lines where nobody recorded it."""
    if failure.fixture:
        return failure.fixture, failure.fixture_scope or "function", failure.fixture_path or ""
    if failure.phase not in {Phase.SETUP, Phase.TEARDOWN} or "fixture" not in failure.text:
        return None
    found = _FIXTURE.findall(failure.text)
    if not found:
        shown = _FIXTURE_SHOWN.findall(failure.text)
        return (*shown[-1], "") if shown else None
    arguments, name = found[-1]
    scope = _SCOPE.search(arguments)
    return name, scope[1] if scope else "function", ""
