"""One answer from what GitHub says of the jobs before; with reports, ``ci-tools gate`` judges those and the jobs together.

Standard library only: a gate over jobs alone needs nothing installed, and cannot fail for want of a package index.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

EXIT_CODES = {"passed": 0, "failed": 10, "incomplete": 11, "error": 2}
"""As ci-tools' own: a job that failed said no; one that was cancelled or skipped said nothing."""
_ATTEMPT = re.compile(r"(?P<what>.+)-attempt-(?P<number>[0-9]{1,9})")


class Answer(NamedTuple):
    """The verdict, its headline, and one line for each job: its ID, its result and whether that is good enough."""

    verdict: str
    headline: str
    jobs: tuple[tuple[str, str, bool], ...] = ()


def decide(needs: str, allowed_skips: str = "") -> Answer:
    """Passed only if every job succeeded, or was skipped and its ID is among the allowed skips.

    ``allowed_skips`` holds IDs of jobs separated by white space or commas.
    """
    try:
        results = {str(job): str(told["result"]) for job, told in json.loads(needs).items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return Answer("error", f"ERROR the input needs is {needs[:80]!r}, expected toJSON(needs)")
    allowed = set(allowed_skips.replace(",", " ").split())
    if unknown := sorted(allowed - set(results)):
        return Answer("error", f"ERROR allowed-skips names {', '.join(unknown)}, which the gate does not need")
    if not results:
        return Answer("error", "ERROR the gate needs no job: nothing was asked")
    jobs = tuple(
        (job, result, result == "success" or (result == "skipped" and job in allowed)) for job, result in results.items()
    )
    bad = [(job, result) for job, result, is_good in jobs if not is_good]
    if not bad:
        return Answer("passed", f"PASS {len(jobs)}/{len(jobs)} jobs", jobs)
    verdict = "failed" if any(result == "failure" for _, result in bad) else "incomplete"
    told = ", ".join(f"{job}: {result}" for job, result in bad)
    word = "FAIL" if verdict == "failed" else "INCOMPLETE"
    return Answer(verdict, f"{word} {len(jobs) - len(bad)}/{len(jobs)} jobs – {told}", jobs)


def add_up(answer: Answer, folder: Path) -> tuple[Answer, dict[str, int]]:
    """The answer, held against the verdicts below ``folder`` (one folder each), and their counts of outcomes together.

    Jobs that succeeded prove nothing where no verdict arrived, or where one that did is not passed.
    """
    counts: Counter[str] = Counter()
    bad = []
    paths = sorted(folder.glob("*/verdict.json"))
    for path in paths:
        try:
            told = json.loads(path.read_bytes())
            counts.update({str(outcome): int(number) for outcome, number in told["counts"].items()})
            decision = str(told["decision"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            decision = "unreadable"
        if decision != "passed":
            bad.append(f"{path.parent.name}: {decision}")
    if answer.verdict == "passed" and (bad or not paths):
        said = ", ".join(bad) or f"no verdict in {folder}"
        answer = Answer("incomplete", f"INCOMPLETE {answer.headline.removeprefix('PASS ')}, but {said}", answer.jobs)
    return answer, dict(sorted(counts.items()))


def leave_newest(folder: Path) -> None:
    """Remove folders of artifacts (``…-attempt-1``) of which ``folder`` holds a newer attempt: that one counts."""
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _ATTEMPT.fullmatch(path.name):
            found.setdefault(match["what"], []).append((int(match["number"]), path))
    for attempts in found.values():
        for _, path in sorted(attempts)[:-1]:
            shutil.rmtree(path)


def command(reports: str, plan: str, profile: str) -> list[str]:
    """The command line that judges reports; inputs that were left empty are left out."""
    return [
        "ci-tools",
        "gate",
        reports,
        *(["--plan", plan] if plan else []),
        *(["--profile", profile] if profile else []),
        "--needs",
        "CI_NEEDS",
        "--output",
        "verdict",
    ]


def main(environ: Mapping[str, str]) -> int:
    """The exit code of the step; summary, outputs and annotation are written on the way."""
    reports = environ.get("INPUT_REPORTS", "")
    if reports:
        return subprocess.run(
            command(reports, environ.get("INPUT_PLAN", ""), environ.get("INPUT_PROFILE", "")), check=False
        ).returncode
    answer = decide(environ.get("CI_NEEDS", ""), environ.get("INPUT_ALLOWED_SKIPS", ""))
    counts: dict[str, int] = {}
    if verdicts := environ.get("INPUT_VERDICTS", ""):
        leave_newest(Path(verdicts))
        answer, counts = add_up(answer, Path(verdicts))
    sys.stdout.write(f"{answer.headline}\n")
    if answer.verdict != "passed":
        sys.stdout.write(f"::error title={answer.verdict}::{answer.headline.replace('%', '%25')}\n")
    rows = "".join(f"| `{job}` | {result} | {'yes' if is_good else '**no**'} |\n" for job, result, is_good in answer.jobs)
    table = f"\n| job | result | good |\n| --- | --- | --- |\n{rows}" if rows else ""
    _append(environ, "GITHUB_STEP_SUMMARY", f"# {answer.headline}\n{table}")
    told = {"verdict": answer.verdict, "headline": answer.headline, "counts": json.dumps(counts)}
    _append(environ, "GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in told.items()))
    return EXIT_CODES[answer.verdict]


def _append(environ: Mapping[str, str], variable: str, text: str) -> None:
    if path := environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)


if __name__ == "__main__":
    sys.exit(main(os.environ))
