"""A library keeps one background thread for the whole process, on its class and in another of its modules."""

import sys
import types

WATCHER = """
import threading


class Watcher(threading.Thread):
    instance = None

    def __init__(self):
        super().__init__(daemon=True)
        self.told = threading.Event()

    def run(self):
        self.told.wait()

    @classmethod
    def get(cls):
        if cls.instance is None:
            cls.instance = cls()
            cls.instance.start()
        return cls.instance
"""
POOL = """
import threading

TOLD = threading.Event()


def wait():
    TOLD.wait()


def start():
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread
"""


def library(name, text):
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = f"/usr/lib/invented/{name.replace('.', '/')}.py"
    exec(compile(text, module.__file__, "exec"), vars(module))
    return module


top = library("corpus_watching", "threads = []")
inner = library("corpus_watching.pool", POOL)
watching = library("corpus_watching.watcher", WATCHER)


def one_of_the_package():
    if not top.threads:
        top.threads.append(inner.start())
    return top.threads[0]


def test_asks_for_the_one_of_the_class():
    assert watching.Watcher.get().is_alive()


def test_asks_for_the_one_that_the_package_keeps():
    assert one_of_the_package().is_alive()


def test_both_live_whoever_has_started_them():
    assert watching.Watcher.get().is_alive()
    assert one_of_the_package().is_alive()
