"""The fixtures: those that tests ask for and nobody defines, those that are defined twice, and names that a star hides."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ci_tools.doctor.facts import Collected, FixtureUndefined, of_kind
from ci_tools.doctor.findings import Examined, Finding, Link
from ci_tools.doctor.imports import Imports
from ci_tools.doctor.tree import SourceFile, Tree

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A fixture where it is written. ``extends`` says that it asks for the outer one of its own name."""

    name: str
    where: str
    extends: bool = False


def examine_fixtures(imports: Imports, tree: Tree) -> Examined:
    """What pytest itself could not resolve, and what stands in two conftests."""
    findings = [*_undefined(of_kind(FixtureUndefined, imports.facts)), *_doubled(tree.conftests)]
    findings += [finding for file in (*tree.conftests, *tree.tests) for finding in _stars(file)]
    collected = of_kind(Collected, imports.facts)
    number = collected[-1].tests if collected else 0
    note = f"{number} tests have every fixture they ask for"
    unknown = "" if imports.is_complete else "not every module can be imported"
    return Examined(link=Link.FIXTURES, findings=tuple(findings), note=note, unknown=unknown)


def definitions(file: SourceFile) -> Iterator[Definition]:
    """The fixtures that a file defines at its top level, under the names that tests use."""
    for node in file.tree.body if file.tree is not None else ():
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if ast.unparse(call.func if call else decorator).rpartition(".")[2] != "fixture":
                continue
            named = next((one.value for one in call.keywords if one.arg == "name"), None) if call else None
            name = str(named.value) if isinstance(named, ast.Constant) else node.name
            extends = name in {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
            yield Definition(name=name, where=f"{file.name}:{node.lineno}", extends=extends)


def _undefined(facts: Sequence[FixtureUndefined]) -> Iterator[Finding]:
    by_name: dict[tuple[str, str], list[FixtureUndefined]] = defaultdict(list)
    for fact in facts:
        by_name[(fact.name, fact.asked_by)].append(fact)
    for (name, asked_by), askers in by_name.items():
        tests = ", ".join(fact.test_id for fact in askers[:_SHOWN])
        rest = f" and {len(askers) - _SHOWN} more" if len(askers) > _SHOWN else ""
        via = f" (through the fixture {asked_by!r})" if asked_by else ""
        near = f"did you mean {' or '.join(map(repr, askers[0].near))}?" if askers[0].near else "no name is near"
        yield Finding(
            what=f"fixture {name!r} is asked for and nobody defines it",
            where=askers[0].test_id if len(askers) == 1 else "",
            details=(f"asked for by {tests}{rest}{via}",),
            remedy=f"{near}; define it in a conftest.py above these tests, or import the plugin that has it",
        )


def _doubled(conftests: Sequence[SourceFile]) -> Iterator[Finding]:
    """A name in two conftests means two things, and a test's folder decides which; one that extends the outer one is meant."""
    by_name: dict[str, list[Definition]] = defaultdict(list)
    for file in conftests:
        for definition in definitions(file):
            by_name[definition.name].append(definition)
    for name, found in by_name.items():
        plain = [definition for definition in found if not definition.extends]
        if len(plain) > 1:
            yield Finding(
                what=f"fixture {name!r} is defined {len(plain)} times",
                where=plain[0].where,
                details=tuple(f"also {definition.where}" for definition in plain[1:]),
                remedy="keep one, in the outermost conftest.py, or give the others names of their own",
            )


def _stars(file: SourceFile) -> Iterator[Finding]:
    for node in ast.walk(file.tree) if file.tree is not None else ():
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield Finding(
                what=f"'from {'.' * node.level}{node.module or ''} import *' does not say which fixtures come from where",
                where=f"{file.name}:{node.lineno}",
                remedy='name them, or list the module in pytest_plugins = ["…"]',
                is_hint=True,
            )
