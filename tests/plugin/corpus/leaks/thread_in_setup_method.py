"""thread in setup method.

kind: thread
outcome: error
owner: setup_method of TestIt (function)
"""

import threading


class TestIt:
    def setup_method(self):
        self.thread = threading.Thread(target=threading.Event().wait, daemon=True)
        self.thread.start()  # made here

    def test_offender(self):
        pass


def test_innocent():
    """An innocent neighbour."""
