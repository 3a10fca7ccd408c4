"""A module is loaded anew: its classes are others from now on.

kind: environment
outcome: error
says: contents of module colorsys was
"""

import colorsys
import importlib


def test_offender() -> None:
    """Passes."""
    importlib.reload(colorsys)  # made here


KNOWN = colorsys.rgb_to_hsv


def test_innocent() -> None:
    """An innocent neighbour."""
    assert colorsys.rgb_to_hsv is KNOWN
