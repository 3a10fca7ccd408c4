"""Kept clusters do not pile up, and none goes while somebody copies or makes it."""

import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from ci_tools.services import cluster

HOUR_S, DAY_S = 3600.0, 86_400.0


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of its own."""
    monkeypatch.setattr(cluster, "cache_folder", lambda: tmp_path)
    return tmp_path


def put(cache: Path, name: str, *, unused_s: float) -> Path:
    """A cluster, or a part of one, that was last used so long ago."""
    path = cache / name
    path.mkdir()
    (path / "PG_VERSION").write_text("18\n")
    then = time.time() - unused_s
    os.utime(path, (then, then))
    return path


def names(cache: Path) -> list[str]:
    """The first letter of each cluster that is there, a part's with a dot."""
    return sorted(path.name[0] + ("." if "." in path.name else "") for path in cache.iterdir() if path.is_dir())


def test_a_cluster_that_nobody_used_for_a_month_goes(cache: Path) -> None:
    """Thirty days without a copy: the program it was made for is gone."""
    put(cache, "a" * 32, unused_s=29 * DAY_S)
    old = put(cache, "b" * 32, unused_s=31 * DAY_S)
    assert ((old,), ["a"]) == (cluster.prune(time.time()), names(cache))


def test_four_are_kept_and_those_in_use_as_well(cache: Path) -> None:
    """Of many the four that were used last stay, and every one that was used within the hour: it may be copied now."""
    for letter, unused_s in zip("abcdef", (1, 2, 3, 4, 5, 2 * HOUR_S), strict=True):
        put(cache, letter * 32, unused_s=unused_s)
    cluster.prune(time.time())
    assert names(cache) == ["a", "b", "c", "d", "e"]


def test_what_a_killed_start_left_half_done_goes(cache: Path) -> None:
    """A part is only its maker's, for as long as making it can take."""
    put(cache, "a" * 32 + ".1234", unused_s=2 * HOUR_S)
    put(cache, "b" * 32 + ".1234", unused_s=60)
    cluster.prune(time.time())
    assert names(cache) == ["b."]


def test_one_that_somebody_makes_anew_stays(cache: Path) -> None:
    """Whoever holds its lock is at work on it."""
    put(cache, "a" * 32, unused_s=40 * DAY_S)
    with FileLock(f"{cache / ('a' * 32)}.lock"):
        assert cluster.prune(time.time()) == ()
    assert names(cache) == ["a"]


def test_a_copy_marks_its_source_as_used_and_a_new_cluster_prunes(
    cache: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken from the cache a cluster is used; the one that is made for a new program clears away the old."""
    place = tmp_path_factory.mktemp("data")
    monkeypatch.setattr(cluster, "_key", lambda _: "a" * 32)
    monkeypatch.setattr(cluster, "_initdb", lambda data, **_: (data.mkdir(), (data / "PG_VERSION").write_text("18\n")))
    source = put(cache, "a" * 32, unused_s=31 * DAY_S)
    put(cache, "b" * 32, unused_s=31 * DAY_S)
    assert cluster.prepare(place / "one", folder=place, account=None).is_cached
    assert time.time() - source.stat().st_mtime < HOUR_S
    monkeypatch.setattr(cluster, "_key", lambda _: "c" * 32)
    assert not cluster.prepare(place / "two", folder=place, account=None).is_cached
    assert names(cache) == ["a", "c"]


def test_a_server_starts_while_all_but_its_own_database_are_still_copied(
    cache: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three databases the one that initdb made last is copied first, the templates when asked: then nothing is missing."""
    monkeypatch.setattr(cluster, "_key", lambda _: "a" * 32)
    source = put(cache, "a" * 32, unused_s=0)
    for number in ("1", "13756", "5"):
        (source / "base" / number).mkdir(parents=True)
        (source / "base" / number / "112").write_text(number)
    data = tmp_path_factory.mktemp("data") / "one"
    prepared = cluster.prepare(data, folder=data, account=None)
    assert [path.name for path in (data / "base").iterdir()] == ["13756"]
    prepared.complete()
    assert sorted((path.parent.name, path.read_text()) for path in data.glob("base/*/112")) == [
        ("1", "1"),
        ("13756", "13756"),
        ("5", "5"),
    ]
