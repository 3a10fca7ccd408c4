"""The set-up: the fixtures of the suite set up for real on the services, one test of each kind, without running a test."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_tools.doctor.child import ask
from ci_tools.doctor.facts import FixtureFailed, SetUp, of_kind
from ci_tools.doctor.findings import Examined, Finding, Link

_MOST_TESTS = 40
_SHOWN = 3


def examine_setup(
    root: Path, environ: Mapping[str, str], *, arguments: Sequence[str], paths: Sequence[str], timeout_s: float
) -> Examined:
    """Set up the fixtures of one test for each set of fixtures, at most 40 of them; those that raise are named."""
    chosen = ["--setup-only", "-q", "--maxfail=0", *arguments]
    answer = ask(root, environ, [*chosen, *paths], timeout_s=timeout_s, most_setups=_MOST_TESTS)
    failed: dict[tuple[str, str], FixtureFailed] = {}
    counts: dict[tuple[str, str], int] = {}
    for fact in of_kind(FixtureFailed, answer.facts):
        failed.setdefault((fact.name, fact.message), fact)
        counts[(fact.name, fact.message)] = counts.get((fact.name, fact.message), 0) + 1
    findings = [_raised(fact, counts[key]) for key, fact in failed.items()]
    ended = of_kind(SetUp, answer.facts)
    if answer.exit_code is None:
        what = f"fixtures were not set up within {timeout_s:g} s"
        findings.append(Finding(what=what, details=answer.tail[-_SHOWN:], remedy="look for a fixture that waits for a service"))
    elif not ended:
        what = f"a fixture ended the process with exit code {answer.exit_code}"
        findings.append(Finding(what=what, details=answer.tail[-_SHOWN:], remedy="look for os._exit or a crash in a fixture"))
    note = f"the fixtures of {ended[-1].tests} tests, one for each set of fixtures, can be set up" if ended else ""
    return Examined(link=Link.SETUP, findings=tuple(findings), note=note)


def _raised(fact: FixtureFailed, count: int) -> Finding:
    tests = f"{fact.test_id} and {count - 1} more" if count > 1 else fact.test_id
    return Finding(
        what=f"fixture {fact.name!r} raises: {fact.message}",
        where=fact.where,
        details=(*fact.chain, f"needed by {tests}"),
        remedy="everything before it holds, so the fault is in this fixture or in the code that it builds",
    )
