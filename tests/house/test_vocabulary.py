"""One word for one thing: no name of the package says nothing, and each public thing says what it is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ci_tools"
_EMPTY_WORDS = re.compile(r"(?i)(?:^|_|(?<=[a-z]))(utils?|helpers?|common|managers?|handlers?|process_data)(?=$|_|[A-Z])")
_EMPTY_STARTS = re.compile(r"^_?(do_|Base(?=[A-Z]|$))")
_PLATFORMS_OWN = {"do_handshake"}
"""Names that somebody else's protocol demands."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def find_faults(path: Path, text: str) -> list[str]:
    """Breaches of one module as sentences."""
    parts = [path.stem, *path.parent.parts]
    found = [f"{path}: the module's name holds {part!r}" for part in parts if _is_empty(part)]
    tree = ast.parse(text)
    if text.strip() and ast.get_docstring(tree) is None:
        found.append(f"{path}: the module has no docstring")
    for node, is_public in _definitions(tree, is_public=True):
        if _is_empty(node.name) and node.name not in _PLATFORMS_OWN:
            found.append(f"{path}:{node.lineno}: the name {node.name!r} says nothing")
        if is_public and ast.get_docstring(node) is None:
            found.append(f"{path}:{node.lineno}: {node.name} has no docstring")
    return found


def _is_empty(name: str) -> bool:
    return bool(_EMPTY_WORDS.search(name) or _EMPTY_STARTS.match(name))


def _definitions(tree: ast.Module | ast.ClassDef, *, is_public: bool) -> Iterator[tuple[Definition, bool]]:
    """Classes and functions of the module and of its classes; what is public in private is private."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            public = is_public and not node.name.startswith("_") and not _is_overload(node)
            yield node, public
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node, is_public=public and not _is_protocol(node))


def _is_overload(node: Definition) -> bool:
    return any(ast.unparse(one).rpartition(".")[2] in {"overload", "setter"} for one in node.decorator_list)


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).partition("[")[0].endswith("Protocol") for base in node.bases)


def test_every_name_says_something_and_every_public_thing_is_described() -> None:
    """No utils, helpers, common, manager, handler, process_data, do_ or Base; a docstring on each public class and function."""
    found = [
        fault
        for path in sorted(PACKAGE.rglob("*.py"))
        for fault in find_faults(path.relative_to(PACKAGE), path.read_text(encoding="utf-8"))
    ]
    assert found == []


FAULTS = {
    "a module": ("host/path_utils.py", '"""Paths."""\n', "path_utils"),
    "a room": ("common/paths.py", '"""Paths."""\n', "common"),
    "a class": ("host/paths.py", '"""Paths."""\nclass PathManager:\n    """Paths."""\n', "'PathManager' says nothing"),
    "a base": ("host/paths.py", '"""Paths."""\nclass BasePath:\n    """Paths."""\n', "'BasePath' says nothing"),
    "a function": ("host/paths.py", '"""Paths."""\ndef do_path():\n    """Do."""\n', "'do_path' says nothing"),
    "a private one": ("host/paths.py", '"""Paths."""\ndef _handler():\n    return 1\n', "'_handler' says nothing"),
    "a method": (
        "host/paths.py",
        '"""Paths."""\nclass Path:\n    """One."""\n    def up(self):\n        return 1\n',
        "up has no docstring",
    ),
    "no docstring": ("host/paths.py", '"""Paths."""\ndef join():\n    return 1\n', "join has no docstring"),
    "no module docstring": ("host/paths.py", "X = 1\n", "the module has no docstring"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    """One empty name or missing docstring is one sentence with its place."""
    name, text, said = FAULTS[fault]
    found = find_faults(Path(name), text)
    assert (len(found), said in found[0]) == (1, True), found
