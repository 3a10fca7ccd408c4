"""Slow tests: said at the end of the run, and nothing else."""

import pytest

SLOW = "slow"
"""The property of a test that took longer than ``slow_s``, with its seconds."""

_SHOWN = 10


def say_slow(terminal: pytest.TerminalReporter) -> None:
    """Name the slow tests among the reports that the terminal has kept, the slowest first."""
    seconds = {
        report.nodeid: float(str(value))
        for reports in terminal.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "teardown"
        for name, value in report.user_properties
        if name == SLOW
    }
    slowest = sorted(seconds.items(), key=lambda one: -one[1])
    if slowest:
        terminal.section("slow tests", sep="=")
        for test_id, took_s in slowest[:_SHOWN]:
            terminal.write_line(f"{took_s:8.1f} s  {test_id}")
        if len(slowest) > _SHOWN:
            terminal.write_line(f"and {len(slowest) - _SHOWN} more")
