"""Pages made by machine are fresh, and what the code knows is documented."""

import subprocess
import sys
from pathlib import Path

import pytest

from ci_tools.config.keys import KEYS, SERVICE_KEYS
from ci_tools.errors import PRECEDENCE, ExitCode

PROJECT = Path(__file__).resolve().parents[2]


def _page(name: str) -> str:
    program = (
        "import sys; sys.path.insert(0, 'docs'); import generate; sys.stdout.buffer.write(generate.pages()[sys.argv[1]].encode())"
    )
    done = subprocess.run([sys.executable, "-c", program, name], cwd=PROJECT, capture_output=True, timeout=60, check=True)
    return done.stdout.decode()


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="argparse words its help differently on each Python; the page is made on 3.11"
)
def test_the_command_line_page_is_fresh() -> None:
    """docs/reference/cli.md is what `nox -s docs` would write."""
    assert (PROJECT / "docs/reference/cli.md").read_text(encoding="utf-8") == _page("cli.md")


@pytest.mark.parametrize("name", ["configuration.md", "exit-codes.md"])
def test_the_reference_pages_are_fresh(name: str) -> None:
    """The page is what `nox -s docs` would write."""
    assert (PROJECT / "docs/reference" / name).read_text(encoding="utf-8") == _page(name)


def test_every_configuration_key_is_documented() -> None:
    """Each key of the schema stands in the reference."""
    text = (PROJECT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    assert [key.name for key in (*KEYS, *SERVICE_KEYS) if f"`{key.name}`" not in text] == []


def test_every_exit_code_has_its_place() -> None:
    """The order of precedence names each exit code once, and each is documented."""
    text = (PROJECT / "docs/reference/exit-codes.md").read_text(encoding="utf-8")
    assert sorted(PRECEDENCE) == sorted(ExitCode)
    assert [code for code in ExitCode if f"| {code.value} |" not in text] == []


def test_the_readme_is_true_to_the_ci_script() -> None:
    """CI calls the README's commands: what a newcomer types is what is tested."""
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    script = (PROJECT / ".ci/run").read_text(encoding="utf-8")
    for session in ("tests", "integration"):
        assert f".venv/bin/nox -s {session}" in readme
        assert f".venv/bin/nox -s {session}" in script
