"""The verdict: passed, failed, incomplete or error, with every rule that was asked and every cause that was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ci_tools.model.case import Failure
from ci_tools.model.policy import Policy
from ci_tools.model.service import Provenance

VERDICT_VERSION = 1


class Decision(StrEnum):
    """What the gate says; only passed lets anything through."""

    PASSED = "passed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """One rule asked: what it expected, what is, and what breaking it makes of the verdict.

    ``exit_code`` is what a breach ends the process with. ``details`` name the tests, shards or files behind the figure,
    also when the rule only warns.
    """

    rule: str
    holds: bool
    expected: str
    actual: str
    breach: Decision = Decision.FAILED
    exit_code: int = 0
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One root cause: the failures and errors that share an origin, with one example and how to repeat it.

    ``signature`` is stable and carries its algorithm's version (``sig-v2:…``); ``rule`` is the readable pattern behind
    it, ``aliases`` are the signatures of merged near-twins. ``tests`` are distinct test IDs, ``failures`` and ``errors``
    count results. ``blocks`` says what it rolls up to (``blocks 17 tests``), ``spread`` is ``environment``, ``machine``,
    ``code`` or empty.
    """

    signature: str
    title: str
    tests: tuple[str, ...]
    failures: int
    errors: int
    example: Failure
    example_test: str
    blocks: str = ""
    location: str = ""
    shards: tuple[str, ...] = ()
    spread: str = ""
    command: str = ""
    rule: str = ""
    first_seen: float = 0.0
    configurations: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file the verdict was made from. ``path`` is relative to the verdict's folder where it lies below it."""

    path: str
    sha256: str
    size: int
    role: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseError:
    """What went wrong around the tests (a service, the queue, the tool itself), with the exit code it stands for."""

    exit_code: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's answer. ``headline`` is generated and says the worst truth first; ``exit_code`` is documented API.

    ``counts`` has every outcome and ``flaky`` (passed only after a failed attempt, not in ``passed``): they add up to
    ``expected`` plus what ran unplanned. ``policy``, ``errors`` and ``baseline_commit`` are what a recomputation
    needs; ``digest`` is over everything else in it. ``shard`` is set when it is about that one shard of the plan only.
    ``published`` are the files that were written beside it, once all of them were.
    """

    decision: Decision
    exit_code: int
    headline: str
    rules: tuple[RuleResult, ...]
    version: int = VERDICT_VERSION
    run_id: str = ""
    commit: str = ""
    plan_digest: str = ""
    profile: str = "default"
    is_complete_proven: bool = False
    expected: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    flaky: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    inputs: tuple[Input, ...] = ()
    services: tuple[Provenance, ...] = ()
    tool_version: str = ""
    created_at: float = 0.0
    duration_s: float = 0.0
    notes: tuple[str, ...] = ()
    policy: Policy | None = None
    baseline_commit: str = ""
    digest: str = ""
    shard: str = ""
    errors: tuple[HouseError, ...] = ()
    published: tuple[Input, ...] = ()
