"""How likely a drop in passed tests is by chance alone: Fisher's exact test over two runs."""

from math import exp, lgamma


def chance_of_drop(passed: int, total: int, passed_before: int, total_before: int) -> float:
    """The chance (0 to 1) of at most ``passed`` of ``total``, were both runs draws from one suite that passes equally often.

    One-sided: a run that passes more often than the one before has a chance near 1. Totals are at least 1.
    """
    all_passed, everything = passed + passed_before, total + total_before
    least = max(0, all_passed - total_before)
    ways = _log_choose(everything, all_passed)
    chances = (
        exp(_log_choose(total, count) + _log_choose(total_before, all_passed - count) - ways)
        for count in range(least, passed + 1)
    )
    return min(1.0, sum(chances))


def _log_choose(total: int, chosen: int) -> float:
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)
