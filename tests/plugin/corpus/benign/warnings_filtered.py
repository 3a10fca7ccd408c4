"""A fixture for every test, and a test, filter warnings by hand: pytest puts the filters back after each test."""

import warnings

import pytest


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """As many suites silence a library."""
    warnings.filterwarnings("ignore", "corpus noise", category=FutureWarning)


def test_filters() -> None:
    """Passes."""
    warnings.filterwarnings("ignore", "more corpus noise")
    warnings.simplefilter("ignore", category=ResourceWarning)


def test_is_filtered() -> None:
    """Passes."""
    warnings.warn("corpus noise", FutureWarning, stacklevel=1)
