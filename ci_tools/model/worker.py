"""What a worker is told: a frozen value with a JSON form, read by the pytest plugin from a file.

The environment variable ``CI_TOOLS_ORDER`` names that file. Without it (bare ``pytest``) the plugin decides for itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ci_tools.model.case import DEFAULT_CONFIGURATION
from ci_tools.model.guard import GuardPolicy
from ci_tools.model.service import Endpoint

ORDER_VERSION = 1
MAIN = "main"
"""The name of a worker that runs its tests itself, without pytest-xdist."""
ORDER_VARIABLE = "CI_TOOLS_ORDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOrder:
    """One file to run: the digest over *all* test IDs the plan expects of it, and those that this shard runs."""

    path: str
    expected_digest: str
    test_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What one worker gets of the services: endpoints, and the environment a test process sees."""

    number: int
    endpoints: tuple[Endpoint, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrder:
    """Everything decided for one worker process.

    ``files`` is None when nothing is selected (the whole suite runs). ``finished`` are test IDs that an earlier
    generation of this worker has already finished or been charged with: they are left out. ``collect_to`` makes the
    worker write what it collected to that file and run nothing. ``slots_path`` names a file with a JSON array of
    ``Slot``; a worker process claims one by locking ``<slots_path>.<number>.lock`` for its life. ``seed`` is for pytest-randomly
    (0: its own choice), ``hash_seed`` for ``PYTHONHASHSEED`` (empty: the environment's, else the run's); tests of one of the
    ``groups`` (by test ID) stay in one pytest-xdist worker; the tests of a ``sequence`` run in exactly this order, whoever
    shuffles, and those that their files hold besides don't. ``settings`` are digests of what was configured; nobody reads them
    here, the journal carries them.
    """

    run_id: str
    journal_dir: str
    version: int = ORDER_VERSION
    run_attempt: int = 1
    configuration: str = DEFAULT_CONFIGURATION
    shard: str = "1/1"
    generation: int = 1
    plan_digest: str = ""
    commit: str = ""
    settings: str = ""
    files: tuple[FileOrder, ...] | None = None
    finished: tuple[str, ...] = ()
    collect_to: str = ""
    slots_path: str = ""
    seed: int = 0
    hash_seed: str = ""
    sequence: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    guard: GuardPolicy = field(default_factory=GuardPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collecting worker found: test IDs in collection order per file, and the files that are broken.

    ``fixtures`` are, by test ID, those of the session and of packages that it needs (``tests::database``). ``seed`` is what
    pytest-randomly shuffles by; 0 without it.
    """

    test_ids: tuple[str, ...]
    paths: Mapping[str, tuple[str, ...]]
    broken: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fixtures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    duration_s: float = 0.0
    seed: int = 0
