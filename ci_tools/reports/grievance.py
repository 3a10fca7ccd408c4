"""A failure on its way to its cause, and the failures that have one."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from ci_tools.model.case import Failure, Outcome
from ci_tools.reports.signatures import NO_CONTACT, Contact, Signature


@dataclass(frozen=True, slots=True)
class Grievance:
    """One failure of one test, or of one file that could not be collected."""

    test_id: str
    failure: Failure
    signature: Signature
    shard: str
    configuration: str
    outcome: Outcome
    contact: Contact = NO_CONTACT
    is_file: bool = False
    started_at: float = 0.0


@dataclass(slots=True)
class Group:
    """The failures of one cause, and every signature that they have."""

    signature: Signature
    members: list[Grievance] = field(default_factory=list)
    aliases: set[str] = field(default_factory=set)

    def take(self, other: "Group") -> None:
        """Add the failures and the signatures of another group."""
        self.members.extend(other.members)
        self.aliases |= other.aliases


def merge_by(groups: Iterable[Group], key: Callable[[Group], Hashable], is_one: Callable[[Sequence[Group]], bool]) -> list[Group]:
    """Join the groups of one key where they are one, the largest first; those whose key is None stay as they are."""
    kept: list[Group] = []
    found: dict[Hashable, list[Group]] = {}
    for group in groups:
        if (value := key(group)) is None:
            kept.append(group)
        else:
            found.setdefault(value, []).append(group)
    for kin in found.values():
        if len(kin) == 1 or not is_one(kin):
            kept.extend(kin)
            continue
        first, *others = sorted(kin, key=lambda group: (-len(group.members), group.signature.id))
        for other in others:
            first.take(other)
        kept.append(first)
    return kept
