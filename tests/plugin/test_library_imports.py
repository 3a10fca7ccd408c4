"""A library that a test is the first to import changes the process once for all: that is no fault of the test, and stays."""

import os
from pathlib import Path

import pytest
from suites import run_suite, write_suite

from ci_tools.model.case import Outcome

LIBRARY = {
    "variables": 'import os\nos.environ["LIBX_HOME"] = "/x"\nos.putenv("LIBX_PAST", "1")',
    "paths": "import os, sys\nsys.path.append(os.path.dirname(__file__))\nsys.path.insert(0, os.path.dirname(__file__))",
    "finders": """
import sys
class Finder:
    def find_spec(self, name, path, target=None):
        return None
sys.meta_path.append(Finder())
""",
    "hooks": """
import sys, threading
def hook(*arguments):
    sys.__excepthook__(*arguments)
sys.excepthook = hook
threading.excepthook = hook
""",
    "handlers": "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "settings": 'import locale, logging\nlocale.setlocale(locale.LC_TIME, "C")\nlogging.getLogger("libx").setLevel(10)',
    "root": """
import logging
class Quiet(logging.NullHandler):
    pass
logging.getLogger().addHandler(Quiet())
""",
    "helpers": """
import concurrent.futures, os, queue, sqlite3, subprocess, sys, tempfile, threading
def wait():
    queue.Queue().get()
for _ in range(2):
    threading.Thread(target=wait, daemon=True).start()
pool = concurrent.futures.ThreadPoolExecutor(1)
pool.submit(int)
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
folder = tempfile.mkdtemp()
database = sqlite3.connect(":memory:")
ends = os.pipe()
stream = open(__file__)
""",
}
USED_AGAIN = """
import os, signal, sys, threading
import libx.variables

def test_still_there():
    assert os.environ["LIBX_HOME"] == "/x"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert any(type(one).__name__ == "Finder" for one in sys.meta_path)
    assert sys.excepthook.__module__ == "libx.hooks"
    assert os.path.dirname(libx.variables.__file__) in sys.path
    from libx import helpers
    assert sum(one.name.endswith("(wait)") for one in threading.enumerate()) == 2
    assert helpers.child.poll() is None
"""
OWN = """
import sys

def test_of_its_own():
    import settings

def test_of_its_own_hand(tmp_path):
    sys.path.append(str(tmp_path))

def test_by_a_call():
    import libx.calls
    libx.calls.configure()
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of installed libraries beside the project."""
    folder = tmp_path / "python" / "site-packages"
    (folder / "libx").mkdir(parents=True)
    (folder / "libx" / "__init__.py").touch()
    for name, text in LIBRARY.items():
        (folder / "libx" / f"{name}.py").write_text(text, encoding="utf-8")
    (folder / "libx" / "calls.py").write_text(
        'import os\ndef configure():\n    os.environ["LIBX_CALLED"] = "1"\n', encoding="utf-8"
    )
    return folder


def test_what_a_library_does_while_it_is_imported_is_nobodys(tmp_path: Path, site: Path) -> None:
    """Variables, paths, finders, hooks, handlers, threads, children, files: no finding, and nothing is put back."""
    (suite := tmp_path / "project").mkdir()
    lines = "\n".join(f"def test_{name}():\n    import libx.{name}\n" for name in LIBRARY)
    write_suite(suite, {"test_imports.py": lines, "test_later.py": USED_AGAIN})
    run = run_suite(suite, "-q", environ={"PYTHONPATH": os.pathsep.join((str(site), os.environ.get("PYTHONPATH", "")))})
    assert set(run.outcomes.values()) == {Outcome.PASSED}, run.output
    assert len(run.outcomes) == len(LIBRARY) + 1
    assert run.leaks == []


def test_what_the_project_does_is_the_projects(tmp_path: Path, site: Path) -> None:
    """A module of its own that is imported, a change by its own hand, a library that it calls: all are found as ever."""
    (suite := tmp_path / "project").mkdir()
    write_suite(suite, {"settings.py": 'import os\nos.environ["OWN"] = "1"\n', "test_own.py": OWN})
    run = run_suite(suite, "-q", environ={"PYTHONPATH": os.pathsep.join((str(site), os.environ.get("PYTHONPATH", "")))})
    told = {leak.leak.owner.partition("::")[2]: leak.leak.what.partition(" was ")[0] for leak in run.leaks}
    found = {name: what.partition(" is not")[0] for name, what in told.items()}
    expected = {"test_of_its_own": "variable OWN", "test_of_its_own_hand": "sys.path", "test_by_a_call": "variable LIBX_CALLED"}
    assert found == expected, run.output
