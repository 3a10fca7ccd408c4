"""The import chain: every conftest and test module imported in a clean child; a broken one with who imports whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_tools.doctor.child import Answer, ask
from ci_tools.doctor.facts import Closed, Collected, Configured, Fact, ImportFailed, ImportHidden, ImportStarted, of_kind
from ci_tools.doctor.findings import Examined, Finding, Link
from ci_tools.doctor.tree import Tree

_USAGE = 4
_MOST_RESTARTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Imports:
    """What importing showed; ``collection`` is the child that collected the suite, None when conftests are broken."""

    configured: Configured | None
    facts: tuple[Fact, ...]
    ended: tuple[Finding, ...] = ()
    collection: Answer | None = None
    tail: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the whole suite could be collected."""
        return self.collection is not None and not self.ended and not of_kind(ImportFailed, self.facts)


def import_all(
    root: Path, environ: Mapping[str, str], tree: Tree, *, arguments: Sequence[str], paths: Sequence[str], timeout_s: float
) -> Imports:
    """Import the conftests each alone, then the suite as pytest collects it; with broken conftests, each module alone."""
    alone = ["--collect-only", "-q", "--noconftest"]
    conftests = [file.path for file in tree.conftests]
    first = _import_alone(root, environ, conftests, [*alone, *arguments], timeout_s)
    if first.configured is None:
        # An option in addopts may be one that a conftest declares: those were not loaded.
        first = _import_alone(root, environ, conftests, [*alone, "-o", "addopts=", "-o", "strict_config=false"], timeout_s)
    if of_kind(ImportFailed, first.facts) or first.ended:
        rest = _import_alone(root, environ, [file.path for file in tree.tests], [*alone, *arguments], timeout_s)
        return Imports(configured=first.configured, facts=(*first.facts, *rest.facts), ended=(*first.ended, *rest.ended))
    quiet = first.configured.quiet if first.configured is not None else ()
    ended: list[Finding] = []
    ignored: list[str] = []
    facts: tuple[Fact, ...] = first.facts
    while True:
        collect = ["-q", "--continue-on-collection-errors", "--maxfail=0", *arguments, *quiet, *ignored, *paths]
        answer = ask(root, environ, collect, timeout_s=timeout_s)
        gone = _gone(answer, timeout_s)
        if gone is None or len(ended) == _MOST_RESTARTS:
            break
        ended.append(gone)
        facts += of_kind(ImportFailed, answer.facts)
        ignored.append(f"--ignore={answer.last_import}")
    configured = of_kind(Configured, answer.facts)
    return Imports(
        configured=configured[0] if configured and answer.exit_code != _USAGE else None,
        facts=(*facts, *answer.facts),
        ended=tuple(ended),
        collection=answer,
        tail=answer.tail,
    )


def examine_imports(imports: Imports) -> Examined:
    """Each broken import with its chain, then those that somebody swallows."""
    findings: dict[str, Finding] = {finding.where: finding for finding in imports.ended}
    for failed in of_kind(ImportFailed, imports.facts):
        findings.setdefault(failed.path, _broken(failed))
    for hidden in of_kind(ImportHidden, imports.facts):
        findings.setdefault(f"{hidden.path}:{hidden.line}", _hidden(hidden))
    modules = {started.path for started in of_kind(ImportStarted, imports.facts)}
    note = f"{len(modules)} conftest and test modules can be imported"
    unknown = "pytest could not be configured" if imports.configured is None and not findings else ""
    return Examined(link=Link.IMPORTS, findings=tuple(findings.values()), note=note, unknown=unknown)


def _import_alone(
    root: Path, environ: Mapping[str, str], modules: Sequence[Path], arguments: Sequence[str], timeout_s: float
) -> Imports:
    """Import modules in one child; when one ends the child, the rest in another."""
    left = list(modules)
    facts: list[Fact] = []
    ended: list[Finding] = []
    while True:
        answer = ask(root, environ, arguments, timeout_s=timeout_s, modules=left, collects=False)
        facts += answer.facts
        gone = _gone(answer, timeout_s)
        if gone is None:
            break
        ended.append(gone)
        begun = len(of_kind(ImportStarted, answer.facts))
        left = left[begun:]
        if not left or len(ended) > _MOST_RESTARTS:
            break
    configured = of_kind(Configured, facts)
    return Imports(configured=configured[0] if configured else None, facts=tuple(facts), ended=tuple(ended), tail=answer.tail)


def _gone(answer: Answer, timeout_s: float) -> Finding | None:
    """What is said of a child that did not come to its own end while it imported."""
    if not answer.last_import or any(isinstance(fact, (Closed, Collected)) for fact in answer.facts):
        return None
    if answer.exit_code is None:
        what = f"importing it had not ended after {timeout_s:g} s"
        remedy = "nothing may wait or serve while a module is imported: move it into a fixture"
    else:
        what = f"importing it ends the process with exit code {answer.exit_code}"
        remedy = "look for os._exit, a crash in an extension or a kill at module level"
    return Finding(what=what, where=answer.last_import, details=answer.tail[-3:], remedy=remedy)


def _broken(failed: ImportFailed) -> Finding:
    missing = f"missing: {failed.missing}" if failed.missing else ""
    details = tuple(line for line in (*failed.chain, missing) if line)
    return Finding(what=f"{failed.kind}: {failed.message}", where=failed.path, details=details, remedy=_remedy(failed))


def _remedy(failed: ImportFailed) -> str:
    last = failed.chain[-1].rpartition(": ")[0] if failed.chain else failed.path
    if "partially initialized module" in failed.message:
        return "two modules import each other: move what both need into a third, or import inside the function that needs it"
    match failed.kind:
        case "ModuleNotFoundError":
            top = failed.missing.partition(".")[0]
            return f"install {top!r}, correct the import in {last}, or add its folder to pytest's `pythonpath`"
        case "ImportError":
            return f"define the name in {failed.missing or 'that module'!r}, or correct the import in {last}"
        case "SyntaxError" | "IndentationError" | "TabError":
            return f"mend the syntax at {last}"
        case _:
            return f"{last} raises while it is imported: move what may fail into a fixture"


def _hidden(hidden: ImportHidden) -> Finding:
    what = f"a failed import is swallowed: {hidden.message}"
    star = " import *" if hidden.is_star else ""
    return Finding(
        what=what,
        where=f"{hidden.path}:{hidden.line}",
        details=(f"import of {hidden.name!r}{star}, caught by an except around it",),
        remedy="take the except away, so that the missing code is an error here and not a missing fixture later",
    )
