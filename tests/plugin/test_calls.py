"""What the journals say of which function calls which: one fault is one cause, through whatever a test looks at it."""

import json
from collections.abc import Sequence
from pathlib import Path

from suites import run_suite, write_suite

from ci_tools.model.case import Case
from ci_tools.model.report import RunReport
from ci_tools.model.shard import ShardRef
from ci_tools.reports.causes import find_causes
from ci_tools.reports.journals import read_shard

FIGHT = '''
"""What a fight costs."""

import functools


def damage(force, armour):
    return {damage}


def healed(force):
    return {healed}


def harmed(force, armour=1):
    return 10 - damage(force, armour)


def tried(force):
    try:
        return damage(force, 1)
    except Exception:
        return None


@functools.lru_cache
def outcome(force):
    return [harmed(force) for _ in range(2)]


class Player:
    def __init__(self, force):
        self.force = force

    def strike(self):
        return self._cost()

    def _cost(self):
        return damage(self.force, 1)

    @property
    def health(self):
        return healed(self.force)
'''

TESTS = '''
"""Each looks at it from another side."""

import sys

sys.path.insert(0, __file__.rpartition("/")[0] + "/..")

import pytest

from arena import fight
from arena.fight import Player, outcome


@pytest.fixture
def player():
    return Player(3)


def checked(found, expected):
    assert found == expected


def test_damage():
    assert fight.damage(3, 1) == 2


def test_harmed():
    assert fight.harmed(3) == 8


def test_outcome():
    found = outcome(3)
    assert found == [8, 8]


def test_strike(player):
    found = player.strike()
    assert found == 2


def test_made_and_struck():
    assert Player(3).strike() == 2


def test_tried():
    assert fight.tried(3) == 2


def test_checked():
    checked(fight.harmed(4), 7)


def test_healed():
    assert fight.healed(3) == 3


def test_health():
    assert Player(3).health == 3
'''


def causes_of(folder: Path, *, damage: str, healed: str) -> list[set[str]]:
    """The names of the tests of each cause, with these two functions."""
    files = {"arena/__init__.py": "", "arena/fight.py": FIGHT.format(damage=damage, healed=healed), "tests/test_fight.py": TESTS}
    write_suite(folder, files)
    run_suite(folder)
    journal = folder / "journal"
    first = json.loads(min(journal.glob("journal-*.jsonl")).read_text("utf-8").partition("\n")[0])
    shard = read_shard(journal, run_id=first["run_id"], shard=ShardRef(index=1, count=1))
    cases: Sequence[Case] = shard.cases
    causes = find_causes(RunReport(run_id="run-1", cases=tuple(cases)))
    return [{test.partition("::test_")[2] for test in cause.tests} for cause in causes]


OF_DAMAGE = {"damage", "harmed", "outcome", "strike", "made_and_struck", "checked", "tried"}


def test_a_function_and_all_that_calls_it_have_one_cause(tmp_path: Path) -> None:
    """Called in its module, by a comprehension, behind a cache, by a method of an object that is made or that a fixture gave."""
    assert [OF_DAMAGE] == causes_of(tmp_path, damage="force + armour", healed="force")


def test_two_functions_that_are_wrong_are_two_causes(tmp_path: Path) -> None:
    """In one module, each seen through others."""
    assert [OF_DAMAGE, {"healed", "health"}] == causes_of(tmp_path, damage="force + armour", healed="-force")


def test_what_a_function_raises_is_the_cause_of_what_comes_out_where_it_is_swallowed(tmp_path: Path) -> None:
    """One test sees the exception, the next that nothing came."""
    assert [OF_DAMAGE] == causes_of(tmp_path, damage="None.x", healed="force")
