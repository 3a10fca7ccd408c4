"""The folder of this file is importable: its tests share ``suites``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
