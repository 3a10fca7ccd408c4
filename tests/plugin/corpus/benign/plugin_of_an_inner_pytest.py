"""An installed plugin works for each pytest of the process, also for one that a test runs: no test can end what it has begun."""

import pytest

pytest_plugins = ("pytester",)
PLUGIN = """
import queue
import socket
import threading


class Status:
    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.answer, daemon=True).start()

    def answer(self):
        queue.Queue().get()


def pytest_configure(config):
    config.corpus_status = Status()
"""


@pytest.mark.parametrize("number", range(2))
def test_it(pytester: pytest.Pytester, number: int) -> None:
    folder = pytester.path / "site-packages"
    folder.mkdir()
    (folder / f"corpus_inner_plugin_{number}.py").write_text(PLUGIN)
    pytester.syspathinsert(folder)
    pytester.makepyfile("def test_inner():\n    pass\n")
    pytester.runpytest_inprocess("-p", "no:xdist", "-p", f"corpus_inner_plugin_{number}").assert_outcomes(passed=1)
