"""The locale is changed and stays.

kind: environment
outcome: error
says: locale was
"""

import locale

BEFORE = locale.setlocale(locale.LC_ALL)


def test_offender() -> None:
    """Passes."""
    locale.setlocale(locale.LC_ALL, "POSIX" if "UTF" in BEFORE else "C.UTF-8")  # made here


def test_innocent() -> None:
    """Finds it as it was."""
    assert locale.setlocale(locale.LC_ALL) == BEFORE
