"""A child starts a grandchild in a session of its own and is waited for.

kind: process
outcome: error
says: sleep 3601
"""

import subprocess
import sys

TEXT = "import subprocess; subprocess.Popen(['sleep', '3601'], start_new_session=True)"


def test_offender() -> None:
    """Passes."""
    subprocess.run([sys.executable, "-c", TEXT], check=True)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert True
