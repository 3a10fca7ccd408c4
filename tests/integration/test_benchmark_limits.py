"""The platform's benchmark has limits, and passing one is red."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "reference_platform.py"
NAMES = ("ping", "event-delay", "twenty-users")


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "code", "word"), [(1e9, 0, "kept"), (1e-9, 1, "above its limit")])
def test_a_ratio_above_its_limit_is_red(limit: float, code: int, word: str, tmp_path: Path) -> None:
    """Each ratio is printed beside its limit; the exit code says whether one is above."""
    limits = tmp_path / "limits.toml"
    limits.write_text("".join(f"{name} = {limit}\n" for name in NAMES), encoding="utf-8")
    command = [sys.executable, str(BENCHMARK), "--rounds", "1", "--limits", str(limits)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert code == done.returncode, done.stderr
    assert list(NAMES) == [line.split()[0] for line in done.stdout.splitlines() if line.endswith(word)]
