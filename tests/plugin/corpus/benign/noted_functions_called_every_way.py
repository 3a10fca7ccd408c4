"""The functions that the guards note take their arguments by keyword, and refuse nonsense with their own errors."""

import os
import signal
from pathlib import Path

import pytest


def test_it(tmp_path: Path) -> None:
    """Puts everything back."""
    before = Path.cwd()
    os.chdir(path=tmp_path)
    os.chdir(path=before)
    handler = signal.signal(signalnum=signal.SIGUSR2, handler=signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, handler)
    with pytest.raises(ValueError, match="signal"):
        signal.signal(4096, signal.SIG_IGN)
    with pytest.raises(TypeError):
        os.environ[1] = "x"
    with pytest.raises(TypeError):
        os.chdir()
