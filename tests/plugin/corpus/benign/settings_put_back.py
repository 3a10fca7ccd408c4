"""Settings of the interpreter that are put back by hand."""

import decimal
import gc
import locale
import random
import socket
import sys
import time


def test_them():
    limit, timeout = sys.getrecursionlimit(), socket.getdefaulttimeout()
    sys.setrecursionlimit(limit + 100)
    socket.setdefaulttimeout(3)
    gc.disable()
    gc.enable()
    socket.setdefaulttimeout(timeout)
    sys.setrecursionlimit(limit)
    with decimal.localcontext() as context:
        context.prec = 4
    locale.setlocale(locale.LC_ALL, locale.setlocale(locale.LC_ALL))


def test_patched_by_hand():
    was = time.time
    time.time = lambda: 0
    try:
        assert time.time() == 0
    finally:
        time.time = was


def test_seeded():
    state = random.getstate()
    random.seed(1)
    random.setstate(state)
