"""Judges a run's artifacts anew, as a stranger's, and comments on the pull request that has the tested commit as its head.

Nothing that the run says about itself is believed: no verdict is read, no number of a pull request, no event. A fork can still
forge *passing results* of its own tests; only review and the run's own conclusion stand against that (docs/guide/github.md).
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_tools.errors import CIToolsError, DecodeError, UsageError
from ci_tools.host.archive import extract
from ci_tools.host.github import set_outputs
from ci_tools.host.github_api import Artifact, GitHubApi
from ci_tools.model.codec import loads
from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Decision, Verdict
from ci_tools.summary.comment import comment_marker, is_comment_of, render_comment
from ci_tools.summary.escape import cell_code, inline_code, size_of
from ci_tools.summary.sections import MARKS

ARTIFACTS = 300
ARTIFACT_BYTES = 20_000_000
ALL_BYTES = 300_000_000
GATE_TIMEOUT_S = 300
ROBOT = "github-actions[bot]"
"""Who writes with the job's token: a comment of anybody else with our marker in it is left alone."""

_PLAN = re.compile(r"plan-attempt-(?P<plan>[0-9]{1,5})")
_SHARD = re.compile(
    r"shard-(?P<cell>[A-Za-z0-9][A-Za-z0-9._-]{0,99})-[0-9]{1,5}-of-[0-9]{1,5}-plan-(?P<plan>[0-9]{1,5})-attempt-[0-9]{1,5}"
)
"""Every attempt of the newest plan's shards: the gate counts the newest of each."""
_WORST = (Decision.ERROR, Decision.INCOMPLETE, Decision.FAILED, Decision.PASSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One system and Python with what we say of it."""

    cell: str
    verdict: Verdict
    report: RunReport


def main(environ: Mapping[str, str]) -> int:
    """Comment where there is a pull request to comment on; the exit code of what was refused."""
    given = {
        name: environ.get(f"INPUT_{name}", "")
        for name in ("TOKEN", "RUN_ID", "HEAD_SHA", "ARTIFACT_PREFIX", "PROJECT", "PROFILE", "KEY")
    }
    api = GitHubApi(
        repository=environ.get("GITHUB_REPOSITORY", ""),
        token=given["TOKEN"],
        url=environ.get("GITHUB_API_URL", "https://api.github.com"),
    )
    try:
        if not re.fullmatch(r"[0-9a-f]{40}", given["HEAD_SHA"]) or not given["RUN_ID"].isdigit():
            raise UsageError("head-sha and run-id are no commit and no run", hint="use the action on workflow_run")
        numbers = api.pull_requests_with_head(given["HEAD_SHA"])
        if numbers:
            body = make_body(api, given, environ)
            for number in numbers:
                mine = [
                    id_ for id_, author, text in api.comments_of(number) if author == ROBOT and is_comment_of(text, given["KEY"])
                ]
                api.write_comment(number, body, replacing=mine[0] if mine else None)
        set_outputs(environ, {"comments": str(len(numbers))})
    except CIToolsError as error:
        sys.stderr.write(f"error: {error}\n")
        return int(error.exit_code)
    sys.stdout.write(f"{len(numbers)} pull request(s) with the head {given['HEAD_SHA'][:12]}\n")
    return 0


def make_body(api: GitHubApi, given: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """The comment; where artifacts are missing or refused it says so instead of a verdict."""
    with tempfile.TemporaryDirectory(prefix="ci-tools-comment-") as name:
        folder = Path(name)
        try:
            cells = fetch(api, given, folder)
            judged = [judge(folder, cell, given, environ) for cell in cells]
        except DecodeError as error:
            title = f"# {MARKS[Decision.ERROR]} No verdict: the run's artifacts were refused"
            return f"{comment_marker(given['KEY'])}\n{title}\n\n{inline_code(error.what)}\n"
    return render(judged, given["KEY"])


def fetch(api: GitHubApi, given: Mapping[str, str], folder: Path) -> list[str]:
    """Unpack the plan and every shard below ``folder``; the cells (system and Python) that there are."""
    prefix = f"{given['ARTIFACT_PREFIX']}-"
    wanted = {
        artifact.name.removeprefix(prefix): artifact
        for artifact in api.artifacts_of(given["RUN_ID"])
        if artifact.name.startswith(prefix)
    }
    plans = {name: int(match["plan"]) for name in wanted if (match := _PLAN.fullmatch(name))}
    plan = max(plans, key=plans.__getitem__, default="")
    shards = {
        name: match["cell"] for name in wanted if (match := _SHARD.fullmatch(name)) and int(match["plan"]) == plans.get(plan)
    }
    if not shards:
        raise DecodeError("the run left no plan or no shard behind", hint="its own log says why")
    _check_amount([wanted[plan], *(wanted[name] for name in shards)])
    extract(api.download(wanted[plan], limit_bytes=ARTIFACT_BYTES), folder / "plan", where="the plan")
    for number, (name, cell) in enumerate(sorted(shards.items())):
        # Our own numbers as names: nothing of the stranger's becomes part of a path here.
        extract(
            api.download(wanted[name], limit_bytes=ARTIFACT_BYTES),
            folder / "shards" / cell / str(number),
            where=f"artifact {number}",
        )
    return sorted(set(shards.values()))


def _check_amount(artifacts: Sequence[Artifact]) -> None:
    if len(artifacts) > ARTIFACTS or sum(artifact.size for artifact in artifacts) > ALL_BYTES:
        raise DecodeError(
            f"the run left {len(artifacts)} artifacts behind, more than can be believed", hint="look at the run itself"
        )


def judge(folder: Path, cell: str, given: Mapping[str, str], environ: Mapping[str, str]) -> Judged:
    """Run the gate on one cell's shards, without the token in its environment; what it wrote is ours."""
    output = folder / "verdicts" / cell
    command = [sys.executable, "-m", "ci_tools", "gate", str(folder / "shards" / cell), "--project", given["PROJECT"] or "."]
    command += ["--plan", str(folder / "plan" / "plan.json"), "--output", str(output)]
    command += ["--profile", given["PROFILE"]] if given["PROFILE"] else []
    hidden = ("INPUT_", "GITHUB_", "ACTIONS_")
    clean = {name: value for name, value in environ.items() if not name.startswith(hidden)}
    try:
        done = subprocess.run(
            command,
            env=clean,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=GATE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DecodeError(f"the gate did not end on {cell} within {GATE_TIMEOUT_S} s", hint="look at the run itself") from error
    if not (output / "verdict.json").is_file():
        raise DecodeError(
            f"the gate gave no verdict on {cell} (exit code {done.returncode}): {done.stderr[-500:]}",
            hint="look at the run itself",
        )
    return Judged(
        cell=cell,
        verdict=loads(Verdict, (output / "verdict.json").read_bytes(), where="verdict.json"),
        report=loads(RunReport, (output / "report.json").read_bytes(), where="report.json"),
    )


def render(judged: Sequence[Judged], key: str) -> str:
    """The worst cell in full; where there are several, a line for each below it."""
    worst = min(judged, key=lambda one: (_WORST.index(one.verdict.decision), one.cell))
    rows = [
        f"| {cell_code(one.cell)} | {MARKS[one.verdict.decision]} {cell_code(one.verdict.headline[:200])} |" for one in judged
    ]
    table = "\n".join(["\n\n| system | verdict |", "| --- | --- |", *rows, ""]) if len(rows) > 1 else ""
    return render_comment(worst.verdict, worst.report, key=key, budget_bytes=60_000 - size_of(table)) + table


if __name__ == "__main__":
    sys.exit(main(os.environ))
