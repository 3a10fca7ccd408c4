"""monkeypatch, capsys, tmp_path, recwarn."""

import os
import sys
import time
import warnings


def test_monkeypatch(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "time", lambda: 1.0)
    monkeypatch.setattr("os.getcwd", lambda: "nowhere")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "corpus_fake", object())
    assert time.time() == 1.0
    assert os.getcwd() == "nowhere"


def test_capsys(capsys, tmp_path):
    print("hello")
    assert capsys.readouterr().out == "hello\n"
    (tmp_path / "it.txt").write_text("x")
    sys.stderr.write("there")


def test_warnings(recwarn):
    warnings.warn("x", UserWarning, stacklevel=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("y", UserWarning, stacklevel=1)
    assert len(recwarn) == 1
