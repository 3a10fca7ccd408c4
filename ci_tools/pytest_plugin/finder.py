"""The finder: lets Python import our own modules by itself.

pytest rewrites the assertions of every package that comes with a plugin: on a fresh machine each of our modules would be parsed
and compiled anew by the first pytest of every job, though an installer has compiled them and none holds an ``assert``.
"""

from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_OURS = "ci_tools."


class OwnModules:
    """Stands before pytest's own import hook on ``sys.meta_path`` and knows the modules of this package only."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module as Python finds it; None for everybody else's."""
        return PathFinder.find_spec(name, path, target) if name.startswith(_OURS) else None
