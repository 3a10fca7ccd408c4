"""A method of a library's class is replaced by hand.

kind: patch
outcome: error
says: Fraction.corpus was absent
"""

from fractions import Fraction


def test_offender() -> None:
    """Passes."""
    setattr(Fraction, "corpus", lambda _: 1)  # noqa: B010  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert not hasattr(Fraction, "corpus")
