"""The clocks as they were before any test: whoever replaces ``time.monotonic`` stops no deadline, and dates no event."""

import time


class CLOCK:
    """Python's own clocks. Attributes of a class, for libraries that freeze time replace those of modules."""

    monotonic = staticmethod(time.monotonic)
    perf_counter = staticmethod(time.perf_counter)
    sleep = staticmethod(time.sleep)
    time = staticmethod(time.time)
