"""Pieces: what a partition places as one – files, parts of files too heavy for one shard, files joined by a group. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ci_tools.sharding.estimates import Estimates


@dataclass(frozen=True, slots=True)
class Atom:
    """Tests of one file that stay together: one test, function, class, or one group's tests (``group``)."""

    ids: tuple[str, ...]
    cost: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A file or a part of one. ``key`` names it (the path, or a part's first test ID) and breaks ties."""

    path: str
    key: str
    atoms: tuple[Atom, ...]
    cost: int

    @property
    def test_ids(self) -> list[str]:
        """Its tests, in the order of their IDs."""
        return [test_id for atom in self.atoms for test_id in atom.ids]

    @property
    def is_bound(self) -> bool:
        """Whether a group holds it where it is."""
        return any(atom.group for atom in self.atoms)


Cluster = tuple[Piece, ...]
"""Pieces that one shard must run: tests of one group in several files."""


def clusters_of(
    files: Mapping[str, tuple[str, ...]],
    joined: Sequence[Sequence[str]],
    groups: Mapping[str, str],
    costs: Estimates,
    count: int,
    cap: int,
) -> list[Cluster]:
    """Everything that is placed as one: files, parts of heavy files, and files joined by a group."""
    clusters: list[Cluster] = []
    for paths in joined:
        pieces = [_whole(path, files[path], groups, costs, cap) for path in paths]
        if len(paths) > 1 and (count == 1 or sum(piece.cost for piece in pieces) <= cap):
            clusters.append(tuple(pieces))
        elif len(paths) > 1:
            clusters.extend(_apart(pieces, costs, cap))
        else:
            clusters.extend((part,) for part in (_cut(pieces[0], costs, cap) if count > 1 else pieces))
    return _enough(clusters, costs, count)


def joined_files(files: Mapping[str, tuple[str, ...]], groups: Mapping[str, str]) -> list[list[str]]:
    """The paths, those that share a group together."""
    root = {path: path for path in files}

    def find(path: str) -> str:
        while root[path] != path:
            root[path] = root[root[path]]
            path = root[path]
        return path

    if groups:
        first_of: dict[str, str] = {}
        for path, ids in files.items():
            for group in sorted({groups[test_id] for test_id in ids if test_id in groups}):
                one, other = sorted((find(first_of.setdefault(group, path)), find(path)))
                root[other] = one
    together: dict[str, list[str]] = {}
    for path in files:
        together.setdefault(find(path), []).append(path)
    return list(together.values())


def _whole(path: str, ids: tuple[str, ...], groups: Mapping[str, str], costs: Estimates, cap: int) -> Piece:
    atoms = _atoms(path, ids, groups, costs, cap)
    return Piece(path, path, atoms, costs.file(path, ids))


def _atoms(path: str, ids: tuple[str, ...], groups: Mapping[str, str], costs: Estimates, cap: int) -> tuple[Atom, ...]:
    """The file's tests in the smallest bundles that may be separated; a class or function only when it is too heavy itself."""
    if not ids:
        return ()
    if costs.file(path, ids) <= cap and not groups:
        return (Atom(ids, costs.tests(ids)),)
    of_group: dict[str, list[str]] = {}
    free: list[str] = []
    for test_id in ids:
        if test_id in groups:
            of_group.setdefault(groups[test_id], []).append(test_id)
        else:
            free.append(test_id)
    atoms = [Atom(tuple(members), costs.tests(members), group) for group, members in of_group.items()]
    return tuple(sorted([*atoms, *_classes(free, costs, cap)], key=lambda atom: atom.ids))


def _classes(ids: Sequence[str], costs: Estimates, cap: int) -> Iterable[Atom]:
    for _, of_class in groupby(ids, _class_of):
        members = tuple(of_class)
        cost = costs.tests(members)
        if cost <= cap:
            yield Atom(members, cost)
        else:
            yield from _functions(members, costs, cap)


def _functions(ids: Sequence[str], costs: Estimates, cap: int) -> Iterable[Atom]:
    for _, of_function in groupby(ids, _function_of):
        members = tuple(of_function)
        cost = costs.tests(members)
        if cost <= cap:
            yield Atom(members, cost)
        else:
            yield from (Atom((test_id,), costs.test(test_id)) for test_id in members)


def _function_of(test_id: str) -> str:
    """The ID without its parameters; parameters may hold anything, ``::`` and brackets too."""
    return test_id.split("[", 1)[0]


def _class_of(test_id: str) -> str:
    """The ID's class (or its module, for plain functions: those are bundled as long as they are light)."""
    return _function_of(test_id).rpartition("::")[0]


def _cut(piece: Piece, costs: Estimates, cap: int) -> list[Piece]:
    """The piece as it is when light enough, else in runs of neighbouring atoms of at most ``cap`` each where atoms allow."""
    if piece.cost <= cap or len(piece.atoms) <= 1:
        return [piece]
    parts: list[list[Atom]] = []
    room = 0
    for atom in piece.atoms:
        if parts and atom.cost <= room:
            parts[-1].append(atom)
        else:
            parts.append([atom])
            room = cap
        room -= atom.cost
    return [_part(piece.path, tuple(atoms), costs) for atoms in parts]


def cut_off(piece: Piece, room: int, costs: Estimates) -> tuple[Piece, Piece] | None:
    """What stays of a piece without groups, and a part that takes at most ``room``; None where nothing fits or nothing stays."""
    if piece.cost <= room or not piece.atoms:
        return None
    stays: list[Atom] = []
    goes: list[Atom] = []
    left = room - costs.overhead(piece.path) - costs.shared.get(piece.path, ("", 0))[1]
    for atom in _classes(sorted(piece.test_ids), costs, left):
        if atom.cost <= left:
            goes.append(atom)
            left -= atom.cost
        else:
            stays.append(atom)
    if not goes or not stays:
        return None
    return _part(piece.path, tuple(stays), costs), _part(piece.path, tuple(goes), costs)


def _part(path: str, atoms: tuple[Atom, ...], costs: Estimates) -> Piece:
    again = costs.again(path, {test_id for atom in atoms for test_id in atom.ids}) if path in costs.shared else 0
    return Piece(path, atoms[0].ids[0], atoms, costs.overhead(path) + again + sum(atom.cost for atom in atoms))


def _apart(pieces: Sequence[Piece], costs: Estimates, cap: int) -> Iterable[Cluster]:
    """Files joined by groups and too heavy together: each group is a cluster of its own, the rest of each file is cut as ever."""
    of_group: dict[str, list[Piece]] = {}
    for piece in pieces:
        rest: list[Atom] = []
        for atom in piece.atoms:
            if atom.group:
                of_group.setdefault(atom.group, []).append(_part(piece.path, (atom,), costs))
            else:
                rest.append(atom)
        if rest:
            yield from ((part,) for part in _cut(_part(piece.path, tuple(rest), costs), costs, cap))
    yield from (tuple(members) for members in of_group.values())


def _enough(clusters: list[Cluster], costs: Estimates, count: int) -> list[Cluster]:
    """At least as many clusters as shards, where anything is left to divide: no shard stays empty for want of pieces."""
    while len(clusters) < count:
        divisible = [
            (sum(piece.cost for piece in cluster), cluster[0].key, index)
            for index, cluster in enumerate(clusters)
            if _is_divisible(cluster)
        ]
        if not divisible:
            break
        clusters.extend(_divided(clusters.pop(max(divisible)[2]), costs))
    return clusters


def _is_divisible(cluster: Cluster) -> bool:
    atoms = [atom for piece in cluster for atom in piece.atoms]
    if len(cluster) > 1:  # of one group alone there is nothing to take apart
        return len({atom.group for atom in atoms}) > 1
    return len(atoms) > 1 or (len(atoms) == 1 and not atoms[0].group and len(atoms[0].ids) > 1)


def _divided(cluster: Cluster, costs: Estimates) -> Iterable[Cluster]:
    """Halves of a file; of files that groups join, each group and what is left of each file."""
    if len(cluster) > 1:
        return _apart(cluster, costs, sum(piece.cost for piece in cluster))
    (piece,) = cluster
    atoms = piece.atoms
    if len(atoms) == 1:
        atoms = tuple(Atom((test_id,), costs.test(test_id)) for test_id in atoms[0].ids)
    middle = len(atoms) // 2
    return [(_part(piece.path, half, costs),) for half in (atoms[:middle], atoms[middle:])]
