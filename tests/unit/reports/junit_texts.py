"""What the tests of JUnit files share: writing one, reading one, and the frames of some."""

from pathlib import Path

from ci_tools.model.report import ShardReport
from ci_tools.reports.elements import Limits
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.junit import write_junit

TEST = "tests/unit/test_a.py::TestKind::test_one[a::b]"


def written(tmp_path: Path, report: ShardReport) -> Path:
    """The report as a file."""
    path = tmp_path / "junit.xml"
    write_junit(report, path)
    return path


def read(tmp_path: Path, text: str | bytes, name: str = "junit.xml", limits: Limits | None = None) -> ShardReport:
    """What a file with this content says."""
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_junit(path, limits=limits) if limits else read_junit(path)


def outcomes(report: ShardReport) -> dict[str, str]:
    """Test ID → outcome."""
    return {item.test_id: item.outcome.value for item in report.cases}


PYTEST = '<testsuites name="pytest tests"><testsuite name="pytest">'
ENDS = "</testsuite></testsuites>"


def suite(inner: str, attributes: str = 'tests="1"') -> str:
    """A suite of some producer."""
    return f'<testsuites><testsuite name="s" {attributes}>{inner}</testsuite></testsuites>'


def whole(report: ShardReport) -> bool:
    """Whether a file was taken for whole."""
    return not report.corrupt
