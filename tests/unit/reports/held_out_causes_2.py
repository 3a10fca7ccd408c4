"""A second held-out sample for causes: what real suites printed, and the root of each failure.

Written by someone who had not seen the code that groups. ``held_out_causes_2.tar.xz`` holds ``suite/``, which writes the
suite of a small shop with known faults (``build.py``, seeded) and runs it (``run.sh``), and what came out of it:

* ``shard-1``, ``shard-2``: journals of two pytest-xdist runs in different checkouts, so with chains, frames and fixtures;
* ``shard-3.xml``, ``shard-4.xml``: JUnit of bare pytest, long tracebacks and short ones: the text is all there is;
* ``shard-5.xml``: JUnit of node's test runner;
* ``roots.json``: the root of each test, by the last part of its ID, and of each file that cannot be imported.

A root is one thing that a developer mends: a server that is down is one root through whatever library, wrapper or fixture
it is seen; two missing keys are two roots. Tests whose root can be argued about are run and have no entry in
``roots.json``: a call that a mock missed in tests that share no code, a bare refusal that does not say by whom,
a bare pytest-timeout inside an event loop, whose report holds no frame of what was awaited.
The machine's own paths were renamed and each journal was told its shard; nothing else was touched.
"""

import io
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from ci_tools.model.report import RunReport
from ci_tools.model.shard import ShardRef
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.journals import read_shard
from ci_tools.reports.merge import merge

ARCHIVE = Path(__file__).with_suffix(".tar.xz")
RUN_ID = "held-out-2"
MOST_OF_A_ROOT = 10
"""Cases a root may send into the sample: pairs grow with the square, and a large root must not drown the others."""

NEAR_MISSES: tuple[tuple[str, str], ...] = (
    ("redis refused", "postgres refused"),
    ("redis refused", "warehouse refused"),
    ("redis refused", "mirror refused to node"),
    ("kafka refused", "nats refused"),
    ("kafka refused", "warehouse refused"),
    ("nats refused", "redis refused"),
    ("billing refused", "catalogue name unknown"),
    ("billing refused", "search refused"),
    ("search refused", "no docker socket"),
    ("mirror refused to node", "ledger refused to node"),
    ("orders answer 500", "stock answers 503"),
    ("quotes answer 429", "accounts answer 401"),
    ("rates are no JSON", "body is empty"),
    ("request without tenant_id", "request without user_id"),
    ("no session to commit", "no session to roll back"),
    ("send has no retries", "send has no timeout"),
    ("fixture redis_manager", "fixture redis_mirror"),
    ("fixture tenant", "fixture tenants"),
    ("no fixture api_client", "no fixture api_clients"),
    ("fixture mailbox left full", "fixture outbox left full"),
    ("fixture redis_mirror", "no settings.toml"),
    ("migrate exits 1", "migrate exits 137"),
    ("render killed by 9", "render killed by 11"),
    ("migrate exits 1", "render killed by 9"),
    ("converter exits 1", "converter exits 2"),
    ("no settings.toml", "no tenants.toml"),
    ("disk full", "archive not allowed"),
    ("disk full", "too many open files"),
    ("take gets nothing", "confirm gets nothing"),
    ("drain hangs", "handshake hangs"),
    ("drain hangs", "join hangs"),
    ("state pending", "state failed"),
    ("another loop", "loop is closed"),
    ("loop is closed", "no running loop"),
    ("tax one off", "round_price cuts"),
    ("slug keeps underscore", "round_price cuts"),
    ("item without sku", "item without currency"),
    ("document without lines", "weight is text"),
    ("quantity is no number", "price is no number"),
    ("order pending", "order cancelled"),
    ("card expired", "card without funds"),
    ("email twice", "order number twice"),
    ("order number twice", "order without customer"),
    ("no table invoices", "no table shipments"),
    ("no table invoices", "no column discount"),
    ("token expired", "token badly signed"),
    ("token badly signed", "token for others"),
    ("mail without customer", "slip without order"),
    ("no DATABASE_URL", "no QUEUE_URL"),
    ("no plugin pdf", "no plugin csv"),
    ("no bucket", "bucket closed"),
    ("no create_test_app", "no OrderLine"),
    ("no OrderLine", "no OrderItem"),
    ("no module stripe", "exports do not parse"),
    ("owner of no customer in node", "label of no customer in node"),
    ("limit exceeded in node", "card blocked in node"),
)
"""Pairs of roots whose failures look alike and that are mended in two places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Precision and recall of a grouping, over pairs of cases and as the mean over roots; each between 0 and 1."""

    precision: float
    recall: float
    precision_of_roots: float
    recall_of_roots: float


def unpack(folder: Path) -> RunReport:
    """The five shards' results as one run, read from the archive below ``folder``."""
    with tarfile.open(fileobj=io.BytesIO(ARCHIVE.read_bytes())) as archive:
        archive.extractall(folder, filter="data")
    journals = [read_shard(folder / f"shard-{index}", run_id=RUN_ID, shard=ShardRef(index=index, count=5)) for index in (1, 2)]
    return merge([], [*journals, *(read_junit(folder / f"shard-{index}.xml") for index in (3, 4, 5))])


def roots(folder: Path, report: RunReport) -> dict[str, str]:
    """The root of each test that is not green and of each broken file, by test ID or path."""
    known: dict[str, str] = json.loads((folder / "roots.json").read_text(encoding="utf-8"))
    grievances = [case.test_id for case in report.cases if not case.outcome.is_green]
    grievances += [error.path for error in report.collection_errors]
    return {name: known[key] for name in grievances if (key := key_of(name)) in known}


def key_of(name: str) -> str:
    """What ``roots.json`` calls a test or file: the function, the file's path, or node's title without its numbers."""
    if name.endswith(".py"):
        return name
    return re.sub(r"\[.*|\s\d+(?=\s|$)", "", name.rpartition("::")[2], flags=re.DOTALL)


def sample(labels: dict[str, str]) -> list[str]:
    """At most ``MOST_OF_A_ROOT`` cases of each root, evenly spread over its sorted cases."""
    chosen: list[str] = []
    for root in sorted(set(labels.values())):
        members = sorted(name for name, label in labels.items() if label == root)
        step = max(1.0, len(members) / MOST_OF_A_ROOT)
        chosen += [members[int(index * step)] for index in range(min(MOST_OF_A_ROOT, len(members)))]
    return chosen


def score(labels: dict[str, str], groups: Iterable[Sequence[str]], chosen: Sequence[str]) -> Score:
    """How well ``groups`` tell the roots of ``chosen`` apart: a pair is together when any group holds both."""
    together = {frozenset(pair) for group in groups for pair in combinations(sorted({*group} & {*chosen}), 2)}
    right, merged, split = Counter[str](), Counter[str](), Counter[str]()
    for pair in map(frozenset, combinations(chosen, 2)):
        own = {labels[name] for name in pair}
        if pair in together:
            (right if len(own) == 1 else merged).update(own)
        elif len(own) == 1:
            split.update(own)
    hits, wrong = right.total(), merged.total() / 2
    names = sorted({labels[name] for name in chosen})
    return Score(
        precision=hits / (hits + wrong) if hits else 0.0,
        recall=hits / (hits + split.total()) if hits else 0.0,
        precision_of_roots=_mean([_share(right[name], merged[name]) for name in names]),
        recall_of_roots=_mean([_share(right[name], split[name]) for name in names]),
    )


def _share(good: int, bad: int) -> float:
    return good / (good + bad) if good + bad else 1.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
