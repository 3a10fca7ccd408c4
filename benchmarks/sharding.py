"""Static shards against their peers: CPU of the heaviest shard, evenness, planning, and the plugin's own cost.

    python benchmarks/sharding.py [cpu] [even] [plan] [overhead] [--venv FOLDER] [--shards 8] [--heaviest ROUNDS]

Peers run in the same call, in an environment made for it (networkx, numpy and pytest-split from the package index; the toolkit
installed as a user has it). CPU is what the operating system counted for the child processes that ran. Everything printed is a
ratio beside its figures. The exit code is 1 when a figure is above its limit.

pytest-split cuts the suite and does nothing else. So its shards are compared with ours while the guards and the journal are off;
beside it stands the ratio of a shard as `ci-tools run` starts it, with every guard and the journal.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from shards.evenness import describe, even
from shards.heaviest import Bench
from shards.overhead import overhead
from shards.planning import planning
from shards.suite import make_project, make_venv

from ci_tools.sharding.durations import parse_durations


def main() -> int:
    """Run the parts that were asked for, all of them by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["cpu", "even", "plan", "overhead"], default=[])
    parser.add_argument("--venv", type=Path, help="environment to make or to use again; default: a temporary one")
    parser.add_argument(
        "--durations", type=Path, help="file of CPU seconds by test to use, or to keep them in; default: a new one"
    )
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument(
        "--heaviest",
        type=int,
        default=0,
        metavar="ROUNDS",
        help="run the predicted heaviest shard of each only, alternately, so often",
    )
    options = parser.parse_args()
    parts = options.parts or ["cpu", "even", "plan", "overhead"]
    is_met = True
    with tempfile.TemporaryDirectory(prefix="ci-tools-bench-") as temporary:
        folder = Path(temporary)
        python = make_venv(options.venv or folder / "venv") if set(parts) != {"plan"} else Path(sys.executable)
        if {"cpu", "even"} & set(parts):
            bench = Bench(python, folder, make_project(python, folder))
            durations = options.durations or folder / "kept.json"
            if not durations.exists():
                shutil.copyfile(bench.store_durations(), durations)
            pairs = parse_durations(durations.read_bytes())
            collected = bench.collect()
            describe(collected, pairs)
            if "even" in parts:
                is_met &= even(collected, pairs)
            if "cpu" in parts:
                is_met &= bench.cpu(collected, pairs, options.shards, options.heaviest)
        if "plan" in parts:
            is_met &= planning()
        if "overhead" in parts:
            is_met &= overhead(python, folder)
    return 0 if is_met else 1


if __name__ == "__main__":
    raise SystemExit(main())
