"""What the reference platform promises about its own sources; each promise is tried on a planted fault too."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PLATFORM = Path(__file__).resolve().parents[2] / "examples" / "agent_platform"
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((PLATFORM / "src" / "agent_platform").glob("*.py"))}
TESTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((PLATFORM / "tests").rglob("*.py"))}

HOMES = {
    "os.environ": {"__main__", "testing"},  # the process's entry and the test environment hand it to Settings
    "os.getenv": set[str](),
    "jwt.encode": {"tokens"},
    "jwt.decode": {"tokens"},
    "Starlette": {"app"},
    "socket.create_server": {"server", "testing"},
}
"""What stands in these modules alone: configuration, tokens, the application and ports have one home each."""

FORGERY = "test_a_token_of_another_kind_is_refused"
"""The one test that makes tokens itself: wrong ones."""

Check = Callable[[dict[str, str]], list[str]]


def held_by_modules(sources: dict[str, str]) -> list[str]:
    """Module-level values that are instances of the platform's own classes; frozen values are no instance to share."""
    frozen, own = set(), set()
    for node in _classes(sources):
        own.add(node.name)
        if any("frozen=True" in ast.unparse(decorator) for decorator in node.decorator_list):
            frozen.add(node.name)
    return [
        f"{module}: {ast.unparse(statement)[:60]}"
        for module, text in sources.items()
        for statement in ast.parse(text).body
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
        for call in ast.walk(statement.value)
        if isinstance(call, ast.Call) and _last(call.func) in own - frozen
    ]


def without_remedy(sources: dict[str, str]) -> list[str]:
    """Errors of the platform that are made without saying how to put things right."""
    bases = {node.name: {_last(base) for base in node.bases} for node in _classes(sources)}
    family = {"PlatformError"}
    while more := {name for name, above in bases.items() if above & family} - family:
        family |= more
    family -= {"ConfigError"}  # its constructor gives the remedy itself
    return [
        f"{module}:{call.lineno}: {ast.unparse(call)[:80]}"
        for module, text in sources.items()
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and _last(call.func) in family and not _has_hint(call)
    ]


def away_from_home(sources: dict[str, str]) -> list[str]:
    """Configuration read, tokens made, applications built or ports bound outside their home."""
    return [
        f"{module}:{node.lineno}: {name}"
        for module, text in sources.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute | ast.Call)
        and (name := ast.unparse(node.func if isinstance(node, ast.Call) else node)) in HOMES
        and module not in HOMES[name]
    ]


def defined_twice(sources: dict[str, str]) -> list[str]:
    """Public functions and classes that more than one module defines."""
    counted = Counter(
        node.name
        for text in sources.values()
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_")
    )
    return [name for name, count in counted.items() if count > 1]


def self_made_tokens(tests: dict[str, str]) -> list[str]:
    """Tests that sign in by making a token instead of by the endpoint."""
    return [
        f"{module}: {function.name}"
        for module, text in tests.items()
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name != FORGERY
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"jwt.encode", "encode"}
    ]


def conftests_too_long(tests: dict[str, str]) -> list[str]:
    """Conftests of more than 60 lines: fixtures that no one can overlook any more."""
    return [name for name, text in tests.items() if name == "conftest" and len(text.splitlines()) > 60]


CHECKS: dict[str, tuple[Check, dict[str, str], dict[str, str]]] = {
    "no module holds an instance": (held_by_modules, SOURCES, {"bridge": "class Bridge: ...\nBRIDGE = Bridge()\n"}),
    "every error has a remedy": (
        without_remedy,
        SOURCES,
        {"errors": "class PlatformError(Exception): ...\nclass OddError(PlatformError): ...\nraise OddError('no', hint='')\n"},
    ),
    "each thing has one home": (away_from_home, SOURCES, {"bridge": "import os\nPORT = os.environ['PORT']\n"}),
    "nothing is defined twice": (defined_twice, SOURCES, {"a": "def sign_in(): ...\n", "b": "def sign_in(): ...\n"}),
    "no test makes a token": (self_made_tokens, TESTS, {"test_a": "def test_a():\n    jwt.encode({}, 'x')\n"}),
    "the conftest is small": (conftests_too_long, TESTS, {"conftest": "\n" * 61}),
}


@pytest.mark.parametrize("promise", CHECKS)
def test_the_platform_keeps_its_promise(promise: str) -> None:
    """The sources as they are keep it."""
    check, sources, _ = CHECKS[promise]
    assert len(sources) > 10
    assert [] == check(sources)


@pytest.mark.parametrize("promise", CHECKS)
def test_a_broken_promise_is_seen(promise: str) -> None:
    """A planted fault is found, so that the check can fail."""
    check, _, fault = CHECKS[promise]
    assert 1 == len(check(fault))


def _classes(sources: dict[str, str]) -> Iterator[ast.ClassDef]:
    for text in sources.values():
        yield from (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef))


def _last(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _has_hint(call: ast.Call) -> bool:
    return any(
        word.arg == "hint" and not (isinstance(word.value, ast.Constant) and not word.value.value) for word in call.keywords
    )
