"""A file that leaves its descriptor open when it is closed owns nothing: the standard streams, written past any capture."""

import sys


def test_text():
    stream = open(2, "w", closefd=False)
    stream.write("")
    KEPT.append(stream)


def test_bytes():
    KEPT.append(open(sys.__stderr__.fileno(), "wb", closefd=False))
    KEPT.append(open(sys.__stderr__.fileno(), "wb", buffering=0, closefd=False))


KEPT = []
