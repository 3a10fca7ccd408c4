"""Vacuous tests: those that can pass without having shown anything, as far as their text says."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ci_tools.doctor.findings import Examined, Finding, Link
from ci_tools.doctor.returning import Function, assertions, early_returns
from ci_tools.doctor.tree import SourceFile, Tree

_MOCKS = ("unittest.mock", "mock", "fakeredis", "pytest_mock", "aioredis_fake", "birdisle", "responses", "respx")
_MOCKING_FIXTURES = frozenset({"mocker", "class_mocker", "module_mocker", "session_mocker"})
_CLIENTS = ("redis", "valkey", "asyncpg", "psycopg", "psycopg2", "aiosqlite", "sqlalchemy", "httpx")
_SETUPS = ("setup_method", "teardown_method", "setup_class", "teardown_class", "setup_function", "teardown_function")
_MODULE_SETUPS = ("setup_module", "teardown_module", "setup_function", "teardown_function")
_CASE_SETUPS = ("setUp", "tearDown", "setUpClass", "tearDownClass")


def examine_tests(tree: Tree) -> Examined:
    """Every pattern of a test that passes without running or without asserting, and every mock beside a real service."""
    findings = [finding for file in tree.tests for finding in find_vacuous(file)]
    findings += _mocks(tree)
    broken = sum(not finding.is_hint for finding in findings)
    note = f"{len(tree.tests)} test files read" if not broken else ""
    return Examined(link=Link.TESTS, findings=tuple(findings), note=note)


def find_vacuous(file: SourceFile) -> Iterator[Finding]:
    """The vacuous tests of one file."""
    if file.tree is None:
        return
    cases = _test_cases(file.tree)
    for node in file.tree.body:
        if isinstance(node, ast.AsyncFunctionDef) and node.name in _MODULE_SETUPS:
            yield _never_awaited(file, node, node.name)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            yield from _hollow(file, node, node.name)
        elif isinstance(node, ast.ClassDef):
            yield from _of_class(file, node, cases)


def _of_class(file: SourceFile, node: ast.ClassDef, cases: dict[str, bool]) -> Iterator[Finding]:
    is_case, is_plain = node.name in cases, cases.get(node.name, False)
    setups = _CASE_SETUPS if is_case else _SETUPS
    for member in node.body:
        if not isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        name = f"{node.name}.{member.name}"
        is_async = isinstance(member, ast.AsyncFunctionDef)
        if is_async and member.name in setups:
            yield _never_awaited(file, member, name)
        elif is_async and is_plain and member.name.startswith("test"):
            yield Finding(
                what=f"{name} is a coroutine in a plain TestCase: nobody awaits it, and it passes without running",
                where=f"{file.name}:{member.lineno}",
                remedy="derive the class from unittest.IsolatedAsyncioTestCase, or make the test a function of pytest",
            )
        elif member.name.startswith("test"):
            yield from _hollow(file, member, name)


def _never_awaited(file: SourceFile, node: Function, name: str) -> Finding:
    return Finding(
        what=f"{name} is a coroutine: nobody awaits it, and the tests run without it",
        where=f"{file.name}:{node.lineno}",
        remedy="make it an async fixture (autouse=True), asyncSetUp in an IsolatedAsyncioTestCase, or a plain function",
    )


def _hollow(file: SourceFile, node: Function, name: str) -> Iterator[Finding]:
    """A test that returns before its first assertion, or that has none at all."""
    asserting = assertions(node)
    early = early_returns(node)
    if early:
        why = "before its first assertion" if asserting else "and asserts nothing"
        yield Finding(
            what=f"{name} may return early {why}: it then passes without having shown anything",
            where=f"{file.name}:{early[0]}",
            remedy='say it: pytest.skip("why"), pytest.fail("why"), or an assert',
        )
    elif not asserting:
        yield Finding(
            what=f"{name} asserts nothing: it passes as long as nothing raises",
            where=f"{file.name}:{node.lineno}",
            remedy="assert what must hold afterwards",
            is_hint=True,
        )


def _test_cases(tree: ast.Module) -> dict[str, bool]:
    """The file's unittest classes by name → whether nobody awaits their coroutines."""
    cases: dict[str, bool] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            if "IsolatedAsyncioTestCase" in bases or any(cases.get(base) is False for base in bases):
                cases[node.name] = False
            elif "TestCase" in bases or any(cases.get(base) for base in bases):
                cases[node.name] = True
    return cases


def _mocks(tree: Tree) -> Iterator[Finding]:
    serving = [file for file in tree.tests if file.tree is not None and _declares_service(file.tree)]
    folders = {PurePosixPath(file.name).parent for file in serving}
    above = [file for file in tree.conftests if any(folder.is_relative_to(PurePosixPath(file.name).parent) for folder in folders)]
    for file in (*above, *serving):
        for node in ast.walk(file.tree) if file.tree is not None else ():
            word = _mock_of(node)
            if word:
                yield Finding(
                    what=f"{word} stands beside tests that declare a real service: what they show may be the mock",
                    where=f"{file.name}:{getattr(node, 'lineno', 1)}",
                    remedy="use the service itself (redis_url, redis_server, REDIS_URL), or move the test to the unit tests",
                )


def _declares_service(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.service") for node in ast.walk(tree))


def _mock_of(node: ast.AST) -> str:
    """What replaces a real part here; empty when nothing does."""
    match node:
        case ast.Import(names=names):
            return next((f"import {alias.name}" for alias in names if _is_of(alias.name, _MOCKS)), "")
        case ast.ImportFrom(module=module, names=names) if module is not None:
            full = [module, *(f"{module}.{alias.name}" for alias in names)]
            return next((f"import of {name}" for name in full if _is_of(name, _MOCKS)), "")
        case ast.arg(arg=name) if name in _MOCKING_FIXTURES:
            return f"fixture {name}"
        case ast.Call(func=ast.Attribute(value=ast.Name(id="monkeypatch"), attr="setattr"), args=[first, *_]):
            target = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ast.unparse(first)
            return f"monkeypatch of {target}" if _is_of(target, _CLIENTS) else ""
    return ""


def _is_of(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
