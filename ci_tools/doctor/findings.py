"""Findings: what the doctor looked at, in which order, and what it saw there."""

from dataclasses import dataclass
from enum import StrEnum


class Link(StrEnum):
    """The preconditions of a run, in the order in which each needs those before it."""

    VERSIONS = "versions"
    CONFIGURATION = "configuration"
    PYTEST = "pytest"
    IMPORTS = "imports"
    FIXTURES = "fixtures"
    SERVICES = "services"
    SETUP = "set-up"
    TESTS = "tests"


class Condition(StrEnum):
    """What is known of a link: it holds, it is broken, or it could not be looked at."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was seen. ``where`` is ``path:line`` or a test ID; a hint (``is_hint``) breaks nothing by itself."""

    what: str
    where: str = ""
    details: tuple[str, ...] = ()
    remedy: str = ""
    is_hint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """One link after the look at it. ``unknown`` says why it could not be looked at; ``note`` what was seen that is well."""

    link: Link
    findings: tuple[Finding, ...] = ()
    note: str = ""
    unknown: str = ""

    @property
    def condition(self) -> Condition:
        """Broken as soon as one finding is more than a hint."""
        if any(not finding.is_hint for finding in self.findings):
            return Condition.BROKEN
        return Condition.UNKNOWN if self.unknown else Condition.HOLDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Every link in order."""

    links: tuple[Examined, ...]

    @property
    def first_broken(self) -> Examined | None:
        """The broken link that stands before all others: what is to be mended first."""
        return next((one for one in self.links if one.condition is Condition.BROKEN), None)

    @property
    def is_sound(self) -> bool:
        """Whether every link was looked at and holds."""
        return all(one.condition is Condition.HOLDS for one in self.links)


def render(diagnosis: Diagnosis) -> str:
    """The diagnosis as plain text: a line for each link, the first broken one whole, then the others and the hints."""
    lines = [f"{one.condition:<8} {one.link:<14} {_said(one)}".rstrip() for one in diagnosis.links]
    first = diagnosis.first_broken
    if first is None:
        lines += [
            "",
            "every link holds" if diagnosis.is_sound else "no broken link was found, but not every one could be looked at",
        ]
    else:
        lines += ["", f"first broken link: {first.link}", *_told(first)]
        for other in diagnosis.links:
            if other is not first and other.condition is Condition.BROKEN:
                lines += ["", f"also broken, perhaps because of it: {other.link}", *_told(other)]
    hints = [finding for one in diagnosis.links for finding in one.findings if finding.is_hint]
    if hints:
        lines += ["", "hints:"]
        lines += [line for finding in hints for line in _finding(finding)]
    return "\n".join(lines)


def _said(one: Examined) -> str:
    match one.condition:
        case Condition.HOLDS:
            return one.note
        case Condition.UNKNOWN:
            return one.unknown
        case Condition.BROKEN:
            broken = [finding for finding in one.findings if not finding.is_hint]
            rest = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
            return f"{broken[0].what.splitlines()[0]}{rest}"


def _told(one: Examined) -> list[str]:
    return [line for finding in one.findings if not finding.is_hint for line in _finding(finding)]


def _finding(finding: Finding) -> list[str]:
    where = f"{finding.where}: " if finding.where else ""
    lines = [f"  {where}{finding.what}", *(f"    {line}" for line in finding.details)]
    if finding.remedy:
        lines.append(f"    hint: {finding.remedy}")
    return lines
