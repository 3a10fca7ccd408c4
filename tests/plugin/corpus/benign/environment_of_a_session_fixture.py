"""A session's fixture sets a variable for all and takes it away at the end."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def setting() -> Iterator[str]:
    """Sets it for all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORPUS_SESSION", "1")
        yield "1"


@pytest.mark.parametrize("number", range(3))
def test_it(setting: str, number: int) -> None:
    """Finds it."""
    assert os.environ["CORPUS_SESSION"] == setting
