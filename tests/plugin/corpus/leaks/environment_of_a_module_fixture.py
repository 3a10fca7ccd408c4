"""A module's fixture sets a variable and does not take it away: the fixture is blamed.

kind: environment
outcome: error
says: CORPUS_OF_A_FIXTURE
owner: fixture setting (module)
"""

import os

import pytest


@pytest.fixture(scope="module")
def setting() -> None:
    """Sets what it does not take away."""
    os.environ["CORPUS_OF_A_FIXTURE"] = "1"  # made here


def test_user(setting: None) -> None:
    """Uses the fixture."""


def test_offender(setting: None) -> None:
    """Is the last to use the fixture."""
    assert os.environ["CORPUS_OF_A_FIXTURE"] == "1"
