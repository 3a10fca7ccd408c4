"""Which settings are said to be the same, and which not."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ci_tools.pipeline.project import open_project
from ci_tools.pipeline.settings import settings_of

TABLE = '[tool.ci-tools]\ntests = ["tests"]\n[tool.pytest.ini_options]\nxfail_strict = true\n'


def told(folder: Path, *arguments: str, table: str = TABLE, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The digests by name, of a project with this pyproject.toml."""
    (folder / "pyproject.toml").write_text(table)
    project = open_project(folder, environ or {})
    text = settings_of(project, project.config.configurations[0], arguments)
    return dict(item.split("=") for item in text.split())  # type: ignore[misc] # two parts each


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The names of the digests that are not the same."""
    return [name for name in one if one[name] != other[name]]


@pytest.mark.parametrize(
    "arguments",
    [
        ("-v",),
        ("-qq", "-rA"),
        ("--tb", "short", "--durations=5"),
        ("--junitxml", "one.xml", "--color=yes"),
        ("--junit-xml=two.xml",),
        ("--html=report-2.html", "--self-contained-html"),
        ("--log-file", "2.log", "--log-cli"),
        ("--basetemp", "elsewhere"),
    ],
)
def test_what_only_shows_or_stores_is_no_setting(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Options of output change no digest, on the command line or in the variable."""
    plain = told(tmp_path, "-k", "fast")
    assert told(tmp_path, *arguments, "-k", "fast") == plain
    assert told(tmp_path, "-k", "fast", environ={"PYTEST_ADDOPTS": " ".join(arguments)}) == plain


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (("-W", "ignore"), {}),
        (("-p", "no:asyncio"), {}),
        (("--runxfail",), {}),
        (("--env", "staging"), {}),
        ((), {"PYTEST_ADDOPTS": "-o xfail_strict=false"}),
        ((), {"PYTEST_PLUGINS": "lenient"}),
        ((), {"PYTEST_ADDOPTS": "'never closed"}),
    ],
)
def test_an_argument_is_a_setting(tmp_path: Path, arguments: tuple[str, ...], environ: Mapping[str, str]) -> None:
    """What may change a result, unknown options among it, changes the digest of the arguments and no other."""
    assert differing(told(tmp_path), told(tmp_path, *arguments, environ=environ)) == ["arguments"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\n"),
        (".pytest.ini", ""),
        ("pytest.toml", "[pytest]\n"),
        ("tox.ini", "[pytest]\naddopts = -x\n"),
        ("setup.cfg", "[tool:pytest]\naddopts = -x\n"),
        ("setup.cfg", "no section at all\n"),
    ],
)
def test_each_file_of_pytest_is_a_setting(tmp_path: Path, name: str, text: str) -> None:
    """A file from which pytest takes its configuration changes the digest of that and no other, readable or not."""
    before = told(tmp_path)
    (tmp_path / name).write_text(text)
    assert differing(before, told(tmp_path)) == ["pytest"]


def test_other_sections_are_no_setting(tmp_path: Path) -> None:
    """What tox and setuptools keep in the same files is not pytest's."""
    (tmp_path / "tox.ini").write_text("[tox]\nenvlist = py311\n")
    before = told(tmp_path)
    (tmp_path / "tox.ini").write_text("[tox]\nenvlist = py312\n")
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = shop\n")
    assert told(tmp_path) == before
    assert told(tmp_path, table="[tool.black]\nline-length = 1\n" + TABLE) == told(tmp_path)


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (TABLE.replace("true", "false"), ["pytest"]),
        (TABLE.replace("[tool.pytest", "[tool.ci-tools.guards]\ntimeout = 5\n[tool.pytest"), ["ci-tools"]),
        (TABLE.replace("[tool.pytest", "[tool.ci-tools.gate]\nmax-failures = 3\n[tool.pytest"), []),
        (TABLE.replace('["tests"]', '["tests"]\nartifacts = "elsewhere"\nworkers = 3\nkeep-runs = 2'), []),
        (TABLE.replace("[tool.pytest", '[tool.ci-tools.gate]\nrequired-markers = ["smoke"]\n[tool.pytest'), ["ci-tools"]),
    ],
)
def test_the_tables_are_settings_but_for_folders_and_policies(tmp_path: Path, table: str, names: list[str]) -> None:
    """Guards and pytest's options are settings; where artifacts go, how many workers there are and what the gate asks are not."""
    assert differing(told(tmp_path), told(tmp_path, table=table)) == names
