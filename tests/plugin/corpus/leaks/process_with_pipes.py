"""A child with pipes runs on; the pipes are no findings of their own.

kind: process
outcome: error
"""

import subprocess

KEPT = []


def test_offender() -> None:
    """Talks to nobody and forgets it."""
    KEPT.append(subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE))  # made here


def test_innocent() -> None:
    """The child is gone and its pipes are closed."""
    assert [pipe.closed for child in KEPT for pipe in (child.stdin, child.stdout) if pipe] in ([], [True, True])
