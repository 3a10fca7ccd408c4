import bz2
import json
from base64 import b64encode
from dataclasses import replace

import pytest

from ci_tools.errors import DecodeError
from ci_tools.model import plan as plan_file
from ci_tools.model.plan import parse_plan, render_plan
from ci_tools.model.shard import Plan
from ci_tools.model.worker import Collected
from ci_tools.sharding.static import partition
from ci_tools.sharding.timings import Timings

HARD = (
    "tests/test_a.py::test_p[a::b@c [d] e]",
    "tests/test_a.py::test_p[ö π \U0001f600]",
    "tests/test_a.py::test_p[\ud800 half a pair]",
    "tests/test_a.py::test_p[line\nline]",
    "tests/test_a.py::test_p[" + "x" * 2000 + "]",
)


def plan_of(*test_ids: str, count: int = 2, groups: dict[str, str] | None = None) -> Plan:
    """The plan of these tests of one file."""
    collected = Collected(test_ids=test_ids, paths={"tests/test_a.py": test_ids}, groups=groups or {})
    return partition(collected, Timings.empty(), count, commit="abc")


def test_hard_ids_survive() -> None:
    """Whatever a test ID holds, ``::``, ``@``, brackets, no ASCII, half a surrogate pair, a line end, comes back."""
    plan = plan_of(*HARD, groups={HARD[0]: "pair", HARD[3]: "pair"})
    text = render_plan(plan)
    assert parse_plan(text) == plan
    assert parse_plan(text.encode("utf-8", "backslashreplace")) == plan


def test_ids_are_compressed() -> None:
    """Ten thousand IDs of 60 characters take less than a twentieth of what they are long, and stand nowhere in plain text."""
    ids = tuple(f"tests/test_a.py::TestOfSomethingWithALongName::test_case[{n:06}]" for n in range(10_000))
    text = render_plan(plan_of(*ids))
    assert len(text) < sum(map(len, ids)) // 20
    assert "TestOfSomethingWithALongName::test_case[000500]" not in text


def test_the_numbers_are_in_plain_sight() -> None:
    """Without unpacking anything a workflow reads how many tests each shard and file has, and their digests."""
    data = json.loads(render_plan(plan_of("tests/test_a.py::a", "tests/test_a.py::b", "tests/test_a.py::c")))
    assert (data["version"], data["tests"], sum(shard["tests"] for shard in data["shards"])) == (2, 3, 3)
    assert [unit["tests"] for shard in data["shards"] for unit in shard["units"]] == [shard["tests"] for shard in data["shards"]]
    assert len({shard["digest"] for shard in data["shards"]} | {data["expected_digest"]}) == 3


def test_the_same_plan_is_the_same_file() -> None:
    """Known bytes: another Python, another system and another build of a library write them too."""
    text = render_plan(plan_of("tests/test_a.py::a", "tests/test_a.py::b"))
    assert json.loads(text)["compressed"] == GOLDEN
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("version", [1, 3, "2", None])
def test_another_version_is_refused(version: object) -> None:
    """A plan of another version is named with its version and the one that is read, not with the first field that differs."""
    data = json.loads(render_plan(plan_of("tests/test_a.py::a"))) | {"version": version}
    with pytest.raises(DecodeError, match=rf"mine is a plan of version {version!r}, this ci-tools reads version 2") as refused:
        parse_plan(json.dumps(data), where="mine")
    assert "make the plan again" in str(refused.value)


def packed(value: object) -> str:
    """As a plan packs it."""
    return b64encode(bz2.compress(json.dumps(value).encode())).decode()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tests": 4}, "holds 3 test ID"),
        ({"expected_digest": "sha256:0"}, "which are not the 3 of its digest"),
        ({"compressed": packed({"ids": [["tests/test_a.py::", "a", "b"]], "groups": {}})}, "shard 1/1 of plan.json holds 2"),
        ({"compressed": packed({"ids": [["tests/test_a.py::", "a", "b", "x"]], "groups": {}})}, "not the 3 of its digest"),
        ({"compressed": packed({"ids": [["tests/test_a.py::", "a", "b", 7]], "groups": {}})}, "not what a plan holds"),
        ({"compressed": packed({"ids": [["tests/test_a.py::", "a", "b", "c"]], "groups": {"g": [3]}})}, "group 'g'"),
        ({"compressed": packed({"ids": [["tests/test_a.py::", "a", "b", "c"]], "groups": {"g": [-1]}})}, "group 'g'"),
        ({"compressed": packed([])}, "not what a plan holds"),
        ({"compressed": "?"}, "cannot be unpacked"),
        ({"compressed": b64encode(b"no bzip2").decode()}, "cannot be unpacked"),
        ({"compressed": b64encode(bz2.compress(b"[")).decode()}, "cannot be unpacked"),
        ({"compressed": b64encode(bz2.compress(b"[]")[:-4]).decode()}, "cut off"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_changed_plan_is_refused(changed: dict[str, object], said: str) -> None:
    """A plan whose counts, digests or compressed part were changed, or cut off, is refused with what is wrong."""
    text = render_plan(plan_of("tests/test_a.py::a", "tests/test_a.py::b", "tests/test_a.py::c", count=1))
    with pytest.raises(DecodeError, match=said):
        parse_plan(json.dumps(json.loads(text) | changed))


def test_a_test_taken_out_of_a_shard_is_missed() -> None:
    """Shards that are sound by themselves and together not what is expected are no plan."""
    plan = plan_of("tests/test_a.py::a", "tests/test_a.py::b")
    with pytest.raises(DecodeError, match=r"plan.json holds 1 test ID\(s\)"):
        parse_plan(render_plan(replace(plan, shards=plan.shards[:1])))


def test_a_little_that_unpacks_to_very_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacking ends at a limit."""
    monkeypatch.setattr(plan_file, "MOST_BYTES", 1 << 20)
    data = json.loads(render_plan(plan_of("tests/test_a.py::a"))) | {"compressed": packed(["x" * (1 << 21)])}
    with pytest.raises(DecodeError, match="above 1 MiB"):
        parse_plan(json.dumps(data))


GOLDEN = (
    "QlpoOTFBWSZTWSgLZm0AACKbgBAFgBAACrag3iogAFQlU0wAANAlU9T1PU8k0APIhFvDQlrClXgcobcR4VR5F5E9UGJrs/+68QMCEj8645ZM+F3JFOFCQKAtmbQ="
)
