"""A failure keeps the exception's chain, the place in the project and the raising fixture."""

from pathlib import Path

import pytest

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.failures import (
    DEEPEST_CHAIN,
    LONGEST_MESSAGE,
    Project,
    RaisingFixture,
    blame_fixture,
    blamed_fixture,
    failure_of,
    shorten,
)

ROOT = Path(__file__).parent
PROJECT = Project(ROOT)


def _raised(action) -> BaseException:  # noqa: ANN001 - any function that raises
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        action()
    return caught.value


def _explicit() -> None:
    try:
        raise KeyError("root")  # noqa: TRY301 - a chain is what is wanted
    except KeyError as error:
        raise ValueError("top") from error


def _implicit() -> None:
    try:
        raise KeyError("root")  # noqa: TRY301 - as above
    except KeyError:
        raise ValueError("top")  # noqa: B904 - as above


def _suppressed() -> None:
    try:
        raise KeyError("root")  # noqa: TRY301 - as above
    except KeyError:
        raise ValueError("top") from None


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (_explicit, ["ValueError", "KeyError"]),
        (_implicit, ["ValueError", "KeyError"]),
        (_suppressed, ["ValueError"]),
    ],
)
def test_the_chain_ends_with_the_root_cause(action, expected: list[str]) -> None:  # noqa: ANN001 - as above
    """Causes and contexts are followed, suppressed contexts are not."""
    failure = failure_of(_raised(action), phase=Phase.CALL, project=PROJECT)
    assert [link.type_name for link in failure.chain] == expected


def test_a_chain_without_end_is_cut() -> None:
    """Two exceptions that name each other as cause are each shown once; a long chain is cut."""
    first, second = ValueError("1"), KeyError("2")
    first.__cause__, second.__cause__ = second, first
    assert len(failure_of(first, phase=Phase.CALL, project=PROJECT).chain) == 2
    top: BaseException = ValueError("0")
    for _ in range(100):
        above = ValueError("n")
        above.__cause__ = top
        top = above
    assert len(failure_of(top, phase=Phase.CALL, project=PROJECT).chain) == DEEPEST_CHAIN


def test_the_frame_is_the_deepest_in_the_project() -> None:
    """A library's frame below the project's is not where a person looks first."""
    failure = failure_of(_raised(lambda: Path("/nowhere/at/all").read_text(encoding="utf-8")), phase=Phase.CALL, project=PROJECT)
    assert failure.frame is not None
    assert (failure.frame.path, failure.frame.function.endswith("<lambda>")) == ("test_failures.py", True)


def test_an_exception_whose_text_raises_has_a_message_all_the_same() -> None:
    """A broken __str__ is said, not followed."""

    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    message = failure_of(BrokenError(), phase=Phase.CALL, project=PROJECT).message
    assert message == "<BrokenError whose text raises RuntimeError>"


def test_a_long_message_is_cut_in_the_middle() -> None:
    """Start and end are kept, and how much is missing is said."""
    message = failure_of(ValueError("a" * 50_000 + "z"), phase=Phase.CALL, project=PROJECT).message
    assert len(message) < LONGEST_MESSAGE + 100
    assert (message[0], message[-1], "characters left out" in message) == ("a", "z", True)
    assert shorten("short", 10) == "short"


def test_the_first_fixture_blamed_stays() -> None:
    """The innermost fixture is told first, and one that only passes the error on does not take its place."""
    error = ValueError()
    inner, outer = (RaisingFixture(name=name, scope="module", path="x.py") for name in ("inner", "outer"))
    blame_fixture(error, inner)
    blame_fixture(error, outer)
    assert blamed_fixture(error) == inner
    above = KeyError()
    above.__cause__ = error
    assert blamed_fixture(above) == inner
    assert blamed_fixture(ValueError()) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("src/a.py", True), (".venv/lib/a.py", False), ("lib/site-packages/a.py", False), (".nox/tests/lib/a.py", False)],
)
def test_a_library_below_the_project_is_not_the_project(name: str, expected: bool) -> None:
    """A virtual environment inside the checkout holds other people's code."""
    assert PROJECT.holds(str(ROOT / name)) is expected
    assert PROJECT.holds("/elsewhere/" + name) is False
