"""State of every kind, changed and put back."""

import locale
import os
import random
import sys
from contextvars import ContextVar

import pytest

USER: ContextVar[str] = ContextVar("user", default="nobody")


def test_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves nothing."""
    token = USER.set("root")
    USER.reset(token)
    os.umask(os.umask(0o077))
    locale.setlocale(locale.LC_ALL, locale.setlocale(locale.LC_ALL))
    monkeypatch.delitem(sys.modules, __name__)
    random.seed(1)
