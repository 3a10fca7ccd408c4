"""One executor for the process, made by whoever needs it first."""

from concurrent.futures import ThreadPoolExecutor

_EXECUTOR = None


def executor():
    global _EXECUTOR
    if _EXECUTOR is None:
        _EXECUTOR = ThreadPoolExecutor(2)
    return _EXECUTOR


def test_one():
    assert executor().submit(int, "1").result() == 1


def test_two():
    assert executor().submit(int, "2").result() == 2
