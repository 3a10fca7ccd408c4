"""A library asks a helper process and keeps it for the next question, in a cache of one of its functions."""

import sys
import types

HELPER = """
import subprocess
import sys
import weakref


class Helper:
    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", "for line in open(0): print(line, end='', flush=True)"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )
        weakref.finalize(self, end, self.process)


def end(process):
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


def remembering(function):
    known = {}

    def remember():
        return known.setdefault("helper", known.get("helper") or function())

    return remember


@remembering
def helper():
    return Helper()


def ask(text):
    process = helper().process
    process.stdin.write(text + "\\n")
    return process.stdout.readline().strip()
"""
library = sys.modules["corpus_asking"] = types.ModuleType("corpus_asking")
library.__file__ = "/usr/lib/invented/corpus_asking.py"
exec(compile(HELPER, library.__file__, "exec"), vars(library))


def test_asks():
    assert library.ask("one") == "one"


def test_asks_again():
    assert library.ask("two") == "two"
