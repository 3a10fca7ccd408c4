"""Marks: which names a test's marks have, found once for each test; walking its parents for every question is dear."""

import pytest

SERVICE = "service"


class _Known:
    """The answer for the test asked about last, and for the parent of the tests asked about last."""

    def __init__(self) -> None:
        self.item: pytest.Item | None = None
        self.count = 0
        self.names: frozenset[str] = frozenset()
        self.parent: object = None
        self.parent_count = 0
        self.parent_names: frozenset[str] = frozenset()


_KNOWN = _Known()


def has_mark(item: pytest.Item, name: str) -> bool:
    """Whether the test, its class, module or a folder has this mark."""
    known = _KNOWN
    if item is not known.item or len(item.own_markers) != known.count:  # a fixture may have added one
        _look(item)
    return name in known.names


def _look(item: pytest.Item) -> None:
    known, parent = _KNOWN, item.parent
    if parent is None:
        known.parent, known.parent_names = None, frozenset()
    elif parent is not known.parent or len(parent.own_markers) != known.parent_count:
        known.parent, known.parent_count = parent, len(parent.own_markers)
        known.parent_names = frozenset([mark.name for node in parent.listchain() for mark in node.own_markers])
    known.item, known.count = item, len(item.own_markers)
    own = [mark.name for mark in item.own_markers]
    known.names = known.parent_names if known.parent_names.issuperset(own) else known.parent_names.union(own)
