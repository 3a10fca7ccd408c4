"""Loading: who wants to change a module hears of it before anybody else has taken a name out of it."""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

Change = Callable[[ModuleType], None]


class Loading:
    """Stands on ``sys.meta_path`` and knows the modules that somebody waits for; all others are found as ever."""

    def __init__(self) -> None:
        self._wanted: dict[str, Change] = {}

    def when_loaded(self, name: str, change: Change) -> None:
        """Call this with the module: now where it is loaded already, else as soon as it is."""
        module = sys.modules.get(name)
        if module is not None:
            change(module)
            return
        if not self._wanted:
            sys.meta_path.insert(0, self)
        self._wanted[name] = change

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module as the others find it, changed when it has been loaded."""
        change = self._wanted.get(name)
        if change is None:
            return None
        found = (finder.find_spec(name, path, target) for finder in tuple(sys.meta_path) if finder is not self)
        spec = next((one for one in found if one is not None), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_change(module: ModuleType) -> None:
                load(module)
                change(module)

            spec.loader.exec_module = load_and_change  # type: ignore[method-assign] # of this loader alone: it is made for each module
        return spec

    def remove(self) -> None:
        """Leave ``sys.meta_path``."""
        self._wanted.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)
