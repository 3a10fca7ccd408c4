"""Hostile and huge files in a process of their own: bounded memory, no network, nothing read that was not given."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="Windows does not say how large a process was")

READ = """
import json, resource, socket, sys
from pathlib import Path

opened = []
def watch(event, arguments):
    reaches = event in {"socket.connect", "socket.getaddrinfo", "subprocess.Popen"}
    if reaches or (event == "open" and "passwd" in str(arguments[0])):
        opened.append([event, str(arguments[:2])])
sys.addaudithook(watch)

from ci_tools.reports.foreign import read_junit
from ci_tools.reports.stream import merge_junit
def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak_mb()
report = read_junit(Path(sys.argv[1]))
merge_junit([Path(sys.argv[1])], Path(sys.argv[2]))
grown = peak_mb() - before
failures = [failure for case in report.cases for attempt in case.attempts for failure in attempt.failures]
print(json.dumps({
    "cases": len(report.cases), "corrupt": list(report.corrupt), "grown": grown, "opened": opened,
    "text": " ".join([case.test_id for case in report.cases] + [failure.message + failure.text for failure in failures])[:2000],
}))
"""

FIRST_USER = "root:"


def read(tmp_path: Path, name: str) -> dict[str, object]:
    """What a fresh process found in the file, how many MB it grew by, and what it opened beside it."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / name), str(tmp_path / "merged.xml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return dict(json.loads(done.stdout))


def laughs() -> str:
    """A billion laughs: ten levels of ten."""
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE a [<!ENTITY l0 "ha">{levels}]><testsuite><testcase name="&l9;">&l9;</testcase></testsuite>'


def quadratic() -> str:
    """One long entity, many times."""
    case = f'<testcase name="t"><failure>{"&x;" * 10_000}</failure></testcase>'
    return f'<!DOCTYPE a [<!ENTITY x "{"x" * 100_000}">]><testsuite>{case}</testsuite>'


BOMBS = {
    "laughs.xml": laughs(),
    "quadratic.xml": quadratic(),
    "file.xml": (
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="t"><failure>&x;</failure></testcase>'
        "</testsuite>"
    ),
    "parameter.xml": '<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><testsuite><testcase name="t"/></testsuite>',
    "remote.xml": '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/evil.dtd"><testsuite><testcase name="t"/></testsuite>',
    "include.xml": (
        '<testsuite xmlns:xi="http://www.w3.org/2001/XInclude"><testcase name="t"><failure>'
        '<xi:include href="file:///etc/passwd" parse="text"/></failure></testcase></testsuite>'
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_and_entities_reach_nothing(tmp_path: Path, name: str) -> None:
    """Entities are never expanded, no file beside the given one is read, no connection is tried, memory stays small."""
    (tmp_path / name).write_text(BOMBS[name])
    found = read(tmp_path, name)
    assert (found["opened"], FIRST_USER in str(found["text"])) == ([], False)
    assert int(str(found["grown"])) < 64
    assert bool(found["corrupt"]) == (name != "include.xml")


def test_loud_tests_stay_outside(tmp_path: Path) -> None:
    """A test that failed with 30 MB of text and printed 60 MB costs a few MB of memory."""
    line = "a line that some service printed while the test was running &amp; went on".ljust(999, ".") + "\n"
    with (tmp_path / "loud.xml").open("w") as stream:
        stream.write('<testsuite name="s"><testcase classname="c" name="t"><failure message="no">')
        stream.writelines(line for _ in range(30_000))
        stream.write("</failure><system-out>")
        stream.writelines(line for _ in range(60_000))
        stream.write("</system-out></testcase></testsuite>")
    assert (tmp_path / "loud.xml").stat().st_size > 90_000_000
    found = read(tmp_path, "loud.xml")
    assert (found["cases"], found["corrupt"]) == (1, [])
    assert int(str(found["grown"])) < 32


def test_five_thousand_levels_end_at_the_limit(tmp_path: Path) -> None:
    """Nested suites, cases and failures end at the limit, not in a crash of the parser."""
    for name, tag in (("suites.xml", "testsuite"), ("cases.xml", "testcase"), ("failures.xml", "failure"), ("odd.xml", "x")):
        (tmp_path / name).write_text(f"<testsuites>{f'<{tag}>' * 5000}{f'</{tag}>' * 5000}</testsuites>")
        assert "is nested deeper than 64 elements" in str(read(tmp_path, name)["corrupt"])
