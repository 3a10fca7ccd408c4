"""The tree: the project's test files and conftests, found without asking pytest, so that a broken one is found too."""

import ast
import fnmatch
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PATTERNS = ("test_*.py", "*_test.py")
_SKIPPED = frozenset({"node_modules", "__pycache__", "build", "dist", "site-packages", "ci-artifacts"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A Python file; ``tree`` is None when it cannot be parsed, ``name`` its path relative to the project."""

    path: Path
    name: str
    tree: ast.Module | None
    is_conftest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What the suite is made of: conftests (outermost first) and test files."""

    conftests: tuple[SourceFile, ...]
    tests: tuple[SourceFile, ...]

    @property
    def has_coroutines(self) -> bool:
        """Whether a test or fixture is a coroutine: then the loop's settings matter."""
        trees = [file.tree for file in (*self.conftests, *self.tests) if file.tree is not None]
        return any(isinstance(node, ast.AsyncFunctionDef) for tree in trees for node in ast.walk(tree))


def read_tree(root: Path, paths: Sequence[str], patterns: Sequence[str] = PATTERNS) -> Tree:
    """The files below ``paths`` (relative to ``root``; all of it when empty) and the conftests above them."""
    starts = [root / path.partition("::")[0] for path in paths] or [root]
    conftests: dict[Path, None] = {}
    tests: dict[Path, None] = {}
    for start in starts:
        above = [folder / "conftest.py" for folder in reversed(start.parents) if folder.is_relative_to(root)]
        conftests.update(dict.fromkeys(path for path in above if path.is_file()))
        for path in _python_files(start):
            if path.name == "conftest.py":
                conftests[path] = None
            elif any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns) or path == start:
                tests[path] = None
    return Tree(
        conftests=tuple(_read(path, root, is_conftest=True) for path in conftests),
        tests=tuple(_read(path, root) for path in tests),
    )


def _python_files(start: Path) -> Iterator[Path]:
    if start.is_file():
        yield start
        return
    for folder, folders, files in os.walk(start):
        here = Path(folder)
        folders[:] = sorted(
            name for name in folders if name not in _SKIPPED and not name.startswith(".") and not _is_venv(here / name)
        )
        yield from (here / name for name in sorted(files) if name.endswith(".py"))


def _is_venv(folder: Path) -> bool:
    return (folder / "pyvenv.cfg").is_file()


def _read(path: Path, root: Path, *, is_conftest: bool = False) -> SourceFile:
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError, OSError):
        tree = None  # pytest will say what is wrong with it
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return SourceFile(path=path, name=name, tree=tree, is_conftest=is_conftest)
