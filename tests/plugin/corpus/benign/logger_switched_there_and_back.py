"""Loggers are silenced and filtered, and all is taken back: by hand, by monkeypatch and by a module's fixture."""

import logging
from collections.abc import Iterator

import pytest

NOISY = logging.getLogger("corpus.noisy")


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    NOISY.propagate = False
    yield
    NOISY.propagate = True


def test_by_hand() -> None:
    """Each step has its way back."""
    logger = logging.getLogger("corpus.by_hand")
    was = logger.propagate
    logger.propagate = False
    logger.disabled = True

    def refuse(_: logging.LogRecord) -> bool:
        return False

    logger.addFilter(refuse)
    logger.removeFilter(refuse)
    logger.disabled = False
    logger.propagate = was


def test_by_monkeypatch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest takes it back."""
    monkeypatch.setattr(NOISY, "disabled", True)
