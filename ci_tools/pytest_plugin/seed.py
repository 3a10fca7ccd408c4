"""The seed: pytest-randomly shuffles every shard of a run, and every repetition of it, by the same one."""

import pytest

from ci_tools.model.worker import WorkerOrder


class Seed:
    """Sets pytest-randomly's options, where it is there, before it reads them itself."""

    def __init__(self, order: WorkerOrder) -> None:
        self._order = order

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """The order's seed, unless the user gave one; an exact sequence is never shuffled, and has the seed that it had."""
        option = config.option
        if not hasattr(option, "randomly_seed"):
            return
        if self._order.seed and (option.randomly_seed == "default" or self._order.sequence):
            option.randomly_seed = self._order.seed
        if self._order.sequence:
            option.randomly_reorganize = False


def seed_of(config: pytest.Config) -> int:
    """The seed that pytest-randomly uses here; 0 without it."""
    seed = config.getoption("randomly_seed", default=0)
    return seed if isinstance(seed, int) else 0
