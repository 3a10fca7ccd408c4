"""A module is loaded anew under another setting, and again when the setting is gone."""

import importlib
import quopri

import pytest


@pytest.fixture
def anew(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("CORPUS_MODE", "1")
        importlib.reload(quopri)
        yield quopri
    importlib.reload(quopri)


def test_it(anew):
    assert anew.decodestring(b"a") == b"a"
