"""A failure on its way to its cause, and the failures that have one."""

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
