"""Verify: a verdict stands as long as no byte of it or its inputs has changed."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci_tools.errors import DecodeError
from ci_tools.model.codec import dumps
from ci_tools.model.policy import Policy
from ci_tools.model.verdict import Input, Verdict
from ci_tools.policy.judge import judge
from ci_tools.reports.causes import find_causes
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.merge import merge
from ci_tools.reports.verify import seal, verify

GREEN = '<testsuite name="s" tests="1"><testcase classname="c" name="{}" time="0.1"/></testsuite>'
RED = '<testsuite name="s" tests="1"><testcase classname="c" name="z"><failure message="no route"/></testcase></testsuite>'


def judged(paths: Sequence[Path], folder: Path, policy: Policy, now: float) -> Verdict:
    """The verdict on JUnit files, as a gate makes it."""
    report = merge([], [read_junit(path) for path in paths])
    inputs = [
        Input(
            path=path.relative_to(folder).as_posix(),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            size=path.stat().st_size,
        )
        for path in paths
    ]
    return judge(report, policy, now=now, causes=find_causes(report), inputs=inputs)


def again(verdict: Verdict, paths: Sequence[Path]) -> Verdict:
    """The same judged again under the verdict's own policy and time."""
    assert verdict.policy is not None
    return judged(paths, paths[0].parent.parent, verdict.policy, verdict.created_at)


def put(folder: Path, *, red: bool = True) -> Path:
    """A folder with two inputs and a sealed verdict on them; the verdict's path."""
    (folder / "in").mkdir(exist_ok=True)
    texts = [GREEN.format("a"), RED if red else GREEN.format("b")]
    paths = [folder / "in" / f"junit-{number}.xml" for number in range(2)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    path = folder / "verdict.json"
    path.write_text(dumps(seal(judged(paths, folder, Policy(), 1000.0))))
    return path


@pytest.mark.parametrize("red", [False, True])
def test_an_untouched_verdict_is_sound(tmp_path: Path, red: bool) -> None:
    """A verdict and its inputs as they were written have no problem, green or red."""
    assert verify(put(tmp_path, red=red), rejudge=again).problems == ()


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_changed_byte_of_an_input_is_said(tmp_path: Path, at: int, by: int) -> None:
    """Any byte of any input, changed, is found and the file is named."""
    path = put(tmp_path)
    victim = tmp_path / "in" / "junit-1.xml"
    data = bytearray(victim.read_bytes())
    data[at % len(data)] = (data[at % len(data)] + by) % 256
    victim.write_bytes(bytes(data))
    assert [problem.partition(" was changed")[0] for problem in verify(path, rejudge=again).problems] == ["in/junit-1.xml"]


def test_a_missing_input_is_said(tmp_path: Path) -> None:
    """An input that is gone cannot be checked, and that is no success."""
    path = put(tmp_path)
    (tmp_path / "in" / "junit-0.xml").unlink()
    assert verify(path).problems == ("in/junit-0.xml cannot be read: No such file or directory",)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipe among its files")
def test_a_pipe_in_place_of_an_input_is_said(tmp_path: Path) -> None:
    """An input that became a pipe, or a folder, is a change; nobody waits for what it would say."""
    path = put(tmp_path)
    for number, make in enumerate((os.mkfifo, os.mkdir)):
        victim = tmp_path / "in" / f"junit-{number}.xml"
        victim.unlink()
        make(victim)
    assert verify(path).problems == ("in/junit-0.xml is no file any more", "in/junit-1.xml is no file any more")


@pytest.mark.parametrize(
    ("key", "value"), [("decision", "passed"), ("exit_code", 0), ("headline", "PASS 2/2 passed"), ("expected", 1), ("digest", "")]
)
def test_a_changed_verdict_is_said(tmp_path: Path, key: str, value: object) -> None:
    """Any field of the verdict, changed by hand, is found."""
    path = put(tmp_path)
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, key: value}))
    assert not verify(path, rejudge=again).is_sound


def test_a_forged_and_sealed_verdict_is_judged_again(tmp_path: Path) -> None:
    """A verdict that was changed and sealed anew does not survive its rules being asked again."""
    path = put(tmp_path)
    true = verify(path).verdict
    rules = tuple(replace(rule, holds=True) for rule in true.rules)
    path.write_text(dumps(seal(replace(true, decision="passed", exit_code=0, rules=rules))))  # type: ignore[arg-type] # forged
    problems = verify(path, rejudge=again).problems
    assert [problem.partition(" ")[0] for problem in problems] == ["decision", "exit_code", "rule"]


def test_a_verdict_without_inputs_is_not_sound(tmp_path: Path) -> None:
    """Nothing to check is not the same as checked."""
    path = put(tmp_path)
    path.write_text(dumps(seal(replace(verify(path).verdict, inputs=()))))
    assert verify(path).problems == ("the verdict names no input: nothing can be checked",)


def test_what_is_no_verdict_is_refused(tmp_path: Path) -> None:
    """Another file, a cut one and none at all are errors with a remedy."""
    path = tmp_path / "verdict.json"
    for text in ("{}", '{"decision": "pas', "[]"):
        path.write_text(text)
        with pytest.raises(DecodeError):
            verify(path)
    with pytest.raises(DecodeError, match="cannot be read"):
        verify(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"counts": {"passed": 2}}, "counts"),
        ({"causes": ()}, "the causes"),
        ({"rules": ()}, "rule"),
        ({"expected": 3}, "expected"),
    ],
)
def test_a_judge_with_other_results_is_said(tmp_path: Path, changes: dict[str, object], word: str) -> None:
    """Whatever judging again finds to be different is named: counts, causes, rules."""
    problems = verify(put(tmp_path), rejudge=lambda verdict, _: replace(verdict, **changes)).problems  # type: ignore[arg-type] # the changes
    assert {problem.startswith(word) for problem in problems} == {True}


def test_a_rule_that_was_not_asked_then_is_said(tmp_path: Path) -> None:
    """A verdict of an older version, with fewer rules, is not what this version would say."""
    path = put(tmp_path)
    verdict = verify(path).verdict
    path.write_text(dumps(seal(replace(verdict, rules=verdict.rules[1:]))))
    assert verify(path, rejudge=again).problems == (f"rule {verdict.rules[0].rule} was not asked then",)


def test_a_newer_verdict_is_said(tmp_path: Path) -> None:
    """A version that this tool does not know cannot be verified by it."""
    path = put(tmp_path)
    path.write_text(dumps(seal(replace(verify(path).verdict, version=99))))
    assert "has version 99" in verify(path).problems[0]
