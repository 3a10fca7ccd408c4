"""Two fixtures of different scopes set the same variable, each putting back what it found."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def outer() -> Iterator[None]:
    """Sets it for the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORPUS_NESTED", "module")
        yield


@pytest.fixture
def inner(outer: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets it for a test."""
    monkeypatch.setenv("CORPUS_NESTED", "test")


def test_inner(inner: None) -> None:
    """Sees the test's."""
    assert os.environ["CORPUS_NESTED"] == "test"


def test_outer(outer: None) -> None:
    """Sees the module's."""
    assert os.environ["CORPUS_NESTED"] == "module"
