"""Where a test's function returns early, and where it asserts. The plugin asks at run time: nothing else is loaded for it."""

import ast
from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef

_CHECKING = (
    "assert",
    "check",
    "verify",
    "expect",
    "raises",
    "warns",
    "fail",
    "should",
    "match",
    "approx",
    "skip",
    "xfail",
    "deprecated",
)


def early_returns(node: Function) -> list[int]:
    """The lines of bare returns before the function's first assertion, or of all but the last where it has none."""
    bare = [one for one in _own(node) if isinstance(one, ast.Return) and one is not node.body[-1] and _is_bare(one)]
    asserting = assertions(node) if bare else []
    return [one.lineno for one in bare if not asserting or one.lineno < asserting[0]]


def assertions(node: Function) -> list[int]:
    """The lines at which the function asserts something, lowest first."""
    return sorted(line for line in map(_asserts_at, _own(node)) if line)


def _own(node: Function) -> Iterator[ast.AST]:
    """Every node of the function, but not of functions and classes inside it."""
    pending: list[ast.AST] = list(node.body)
    while pending:
        one = pending.pop(0)
        yield one
        if not isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            pending.extend(ast.iter_child_nodes(one))


def _asserts_at(node: ast.AST) -> int:
    """The line of an assertion; 0 for anything else. A raise counts, and so does a call whose name says that it checks."""
    if isinstance(node, (ast.Assert, ast.Raise)):
        return node.lineno
    if isinstance(node, ast.Call):
        words = ast.unparse(node.func).rpartition(".")[2].lower().strip("_").replace("_", " ").split()
        return node.lineno if any(word.startswith(_CHECKING) for word in words) else 0
    return 0


def _is_bare(node: ast.Return) -> bool:
    return node.value is None or (isinstance(node.value, ast.Constant) and node.value.value in (None, True))
