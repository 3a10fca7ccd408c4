"""A method of a library's class is replaced by hand.

kind: patch
outcome: error
says: OrderedDict.corpus was absent
"""

from collections import OrderedDict


def test_offender() -> None:
    """Passes."""
    setattr(OrderedDict, "corpus", lambda _: 1)  # noqa: B010  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert not hasattr(OrderedDict, "corpus")
