"""Declared: services that the configuration declares for the tests of a folder, as if each had the mark."""

from collections.abc import Mapping
from pathlib import Path

import pytest


class Declared:
    """Gives each collected test the ``service`` mark of its folders, before anybody asks for it."""

    def __init__(self, root: Path, services: Mapping[str, tuple[str, ...]]) -> None:
        self._folders = [(root / folder, names) for folder, names in services.items()]
        self._known: dict[Path, tuple[str, ...]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Add the mark where the test's file lies below one of the folders, or is itself named."""
        names = self._known.get(item.path)
        if names is None:
            found = {name for folder, some in self._folders if item.path.is_relative_to(folder) for name in some}
            names = self._known[item.path] = tuple(sorted(found))
        if names:
            item.add_marker(pytest.mark.service(*names))
