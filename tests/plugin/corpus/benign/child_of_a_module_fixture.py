"""A module's fixture keeps a child while tests run."""

import subprocess
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Lives as long as the module."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]) as child:
        yield child
        child.kill()


@pytest.mark.parametrize("number", range(3))
def test_it(child: subprocess.Popen[bytes], number: int) -> None:
    """Finds it alive."""
    assert child.poll() is None
