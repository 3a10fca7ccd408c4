import io
import re
from pathlib import Path

import pytest

from ci_tools.errors import UsageError
from ci_tools.host.github import (
    SUMMARY_LIMIT_BYTES,
    add_masks,
    append_summary,
    commands_stopped,
    context,
    group,
    is_github,
    set_environment,
    set_outputs,
    summary_room,
    write_annotations,
)

INSIDE = {"GITHUB_ACTIONS": "true"}


def read_assignments(text: str) -> dict[str, str]:
    """The values as the runner reads them: name<<delimiter, lines, the delimiter alone on a line."""
    values, lines = {}, iter(text.split("\n"))
    for line in lines:
        if line:
            name, delimiter = line.split("<<", 1)
            body = []
            for inner in lines:
                if inner == delimiter:
                    break
                body.append(inner)
            values[name] = "\n".join(body)
    return values


def test_only_github_is_github() -> None:
    """The variable must say true: another CI system that sets CI alone is not taken for it."""
    assert is_github(INSIDE)
    assert not is_github({"CI": "true"})
    assert not is_github({"GITHUB_ACTIONS": "false"})


def test_the_run_is_read_as_values() -> None:
    """Commit, run, attempt and the page of the attempt."""
    told = context(
        {"GITHUB_SHA": "abc", "GITHUB_RUN_ID": "77", "GITHUB_RUN_ATTEMPT": "3", "GITHUB_REPOSITORY": "o/r", "GITHUB_JOB": "shard"}
    )
    assert (told.sha, told.run_id, told.run_attempt, told.job) == ("abc", "77", 3, "shard")
    assert told.run_url == "https://github.com/o/r/actions/runs/77/attempts/3"


@pytest.mark.parametrize("attempt", ["", "0", "x", "²"])
def test_an_attempt_that_is_no_number_is_the_first(attempt: str) -> None:
    """Nothing outside GitHub breaks the reading."""
    assert context({"GITHUB_RUN_ATTEMPT": attempt}).run_attempt == 1
    assert context({}).run_url == ""


@pytest.mark.parametrize("value", ["plain", "two\nlines", "", "a<<EOF\nEOF\nb=c", "ends\n"])
def test_any_value_comes_through(tmp_path: Path, value: str) -> None:
    """Outputs and variables hold what was given, whatever it looks like, also after other ones."""
    for variable, write in (("GITHUB_OUTPUT", set_outputs), ("GITHUB_ENV", set_environment)):
        path = tmp_path / variable
        assert write({variable: str(path)}, {"first": "1", "name": value})
        assert write({variable: str(path)}, {"last": "2"})
        assert read_assignments(path.read_text(encoding="utf-8")) == {"first": "1", "name": value, "last": "2"}


def test_delimiters_are_never_the_same(tmp_path: Path) -> None:
    """A value cannot know the delimiter that ends it."""
    path = tmp_path / "out"
    for _ in range(20):
        set_outputs({"GITHUB_OUTPUT": str(path)}, {"a": "1"})
    delimiters = re.findall(r"<<(\w+)", path.read_text(encoding="utf-8"))
    assert len(set(delimiters)) == 20
    assert min(map(len, delimiters)) >= 32


@pytest.mark.parametrize("name", ["", "a=b", "a<<b", "a\nb"])
def test_a_name_that_would_break_the_file_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing is written for a name that the runner would read as something else."""
    with pytest.raises(UsageError, match="cannot name an output"):
        set_outputs({"GITHUB_OUTPUT": str(tmp_path / "out")}, {name: "x"})
    assert not (tmp_path / "out").exists()


def test_outside_github_nothing_is_written() -> None:
    """Without the files every writer says that it did nothing."""
    assert [set_outputs({}, {"a": "b"}), set_environment({}, {"a": "b"}), append_summary({}, "x")] == [False] * 3
    assert summary_room({}) == 0


def test_summaries_add_up_to_the_limit(tmp_path: Path) -> None:
    """The room left shrinks by what the step has already written, and is never negative."""
    environ = {"GITHUB_STEP_SUMMARY": str(tmp_path / "s")}
    assert summary_room(environ) == SUMMARY_LIMIT_BYTES
    assert append_summary(environ, "é")
    assert summary_room(environ) == SUMMARY_LIMIT_BYTES - 3
    append_summary(environ, "x" * SUMMARY_LIMIT_BYTES)
    assert summary_room(environ) == 0
    assert (tmp_path / "s").read_bytes().startswith("é\nxxx".encode())


def test_untrusted_text_cannot_end_the_guard() -> None:
    """Between the two lines no command counts; the token is another one each time, and the end stands on its own line."""
    tokens = []
    for _ in range(2):
        stream = io.StringIO()
        with commands_stopped(stream, INSIDE):
            stream.write("::error::x\n::stop-commands::y\nopen line")
        first, *_, end = stream.getvalue().splitlines()
        token = first.removeprefix("::stop-commands::")
        assert end == f"::{token}::"
        tokens.append(token)
    assert len(set(tokens)) == 2
    assert min(map(len, tokens)) == 32


def test_the_guard_ends_also_after_an_error() -> None:
    """An exception does not leave the rest of the job without commands."""
    stream = io.StringIO()
    with pytest.raises(ValueError, match="x"), commands_stopped(stream, INSIDE):
        raise ValueError("x")
    assert stream.getvalue().splitlines()[-1].endswith("::")


def test_a_terminal_sees_no_guard() -> None:
    """Outside GitHub only the text itself is printed."""
    stream = io.StringIO()
    with commands_stopped(stream, {}), group(stream, {}, "shard 1/2"):
        stream.write("text\n")
    assert stream.getvalue() == "shard 1/2\ntext\n"


def test_groups_fold_in_github() -> None:
    """What is written in between folds under its title."""
    stream = io.StringIO()
    with group(stream, INSIDE, "shard 1/2"):
        stream.write("text\n")
    assert stream.getvalue() == "::group::shard 1/2\ntext\n::endgroup::\n"


def test_an_annotation_is_one_command_on_one_line() -> None:
    """What is not escaped is refused whole, before anything is written."""
    stream = io.StringIO()
    write_annotations(stream, ("::error::a", "::warning::b"))
    assert stream.getvalue() == "::error::a\n::warning::b\n"
    for bad in ("::error::a\n::add-mask::b", "::error::a\rb", "no command"):
        with pytest.raises(UsageError, match="no workflow command"):
            write_annotations(stream, ("::error::good", bad))
    assert stream.getvalue() == "::error::a\n::warning::b\n"


def test_masks_are_one_line_each() -> None:
    """A secret of several lines is masked line by line; an empty one masks nothing."""
    stream = io.StringIO()
    add_masks(stream, ["a%b\nsecond", "", " "])
    assert stream.getvalue() == "::add-mask::a%25b\n::add-mask::second\n"
