"""A list of the interpreter is changed in place: nobody assigns anything.

kind: patch
outcome: error
says: sys.argv was changed in place and not put back: new in it ['--corpus']
"""

import sys


def test_offender():
    sys.argv.append("--corpus")  # made here


def test_innocent():
    """The command line is as it was."""
    assert "--corpus" not in sys.argv
