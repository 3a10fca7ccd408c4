"""Failures of a function and of what calls it: as far as the journals of a run say what calls what. Pure."""

from collections.abc import Hashable, Mapping, Sequence

from ci_tools.reports.grievance import Group, merge_by
from ci_tools.reports.kin import PAGE, View, view_of


def merge_reached(groups: Sequence[Group]) -> list[Group]:
    """Join what comes out wrong of one function to the only function below it that is wrong too.

    Of several below it the lowest, where there is only one.
    """
    callees = _callees(groups)
    if not callees:
        return [*groups]
    groups = merge_by(groups, _outcome_of, lambda _: True)
    named = [(node, group) for group in groups if (node := _node_of(group))]
    below = {node: _reached(node, callees) for node, _ in named}
    target: dict[int, Group] = {}
    for node, group in named:
        found = [(other, base) for other, base in named if base is not group and other != node and other in below[node]]
        lowest = [base for other, base in found if not any(one in below[other] for one, _ in found if one != other)]
        if view_of(group.signature) is not None and len(lowest) == 1:
            target[id(group)] = lowest[0]
    for _, group in named:
        if (base := target.get(id(group))) is not None:
            while id(base) in target:
                base = target[id(base)]
            base.take(group)
    return [group for group in groups if id(group) not in target]


def _outcome_of(group: Group) -> Hashable:
    """The function whose outcome was compared, by its own name, and the keys of it that were looked at."""
    view = view_of(group.signature)
    node = _node_of(group) if view is not None else ""
    return (node, view.keys) if view is not None and node else None


def _callees(groups: Sequence[Group]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for group in groups:
        for member in group.members:
            for line in member.failure.calls:
                caller, *callees = line.split(" ")
                found.setdefault(caller, tuple(callees))
    return found


def _reached(node: str, callees: Mapping[str, tuple[str, ...]]) -> set[str]:
    """What a function calls, and what that calls; itself only where it comes back to itself."""
    reached: set[str] = set()
    waiting = [node]
    while waiting:
        for callee in callees.get(waiting.pop(), ()):
            if callee not in reached:
                reached.add(callee)
                waiting.append(callee)
    return reached


def _node_of(group: Group) -> str:
    """The function that a group is about, as the journals name it: what a line compared, or what raised."""
    failure = group.members[0].failure
    known = [line.split(" ")[0] for line in failure.calls]
    view = view_of(group.signature)
    if view is not None:
        return _named(view, known)
    if failure.frame is None or group.signature.server or not failure.calls:
        return ""
    module = failure.frame.path.removesuffix(".py").replace("/", ".")
    wanted = f"{failure.frame.function.partition('.<locals>')[0]}"
    found = [
        name for name in known if name.endswith(f".{wanted}") and f".{module}".endswith(f".{name.removesuffix(f'.{wanted}')}")
    ]
    return found[0] if len(found) == 1 else ""


def _named(view: View, known: Sequence[str]) -> str:
    """The one function that a comparison's call is: by module and name, by name, or a property of the class that was called."""
    if view.module == PAGE or not view.words:
        return ""
    for name in (f"{view.module}.{view.name}", view.name, *(f"{view.name}.{key}" for key in sorted(view.keys))):
        found = [one for one in known if one.endswith(f".{name.removeprefix('.')}")]
        if found:
            return found[0] if len(found) == 1 else ""
    return ""
