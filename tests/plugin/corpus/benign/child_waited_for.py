"""A child that is waited for."""

import subprocess
import sys


def test_it() -> None:
    """Leaves nothing."""
    assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True).stdout
