"""Verifies a verdict offline: its inputs are the same bytes, and judging them again gives the same answer."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ci_tools.errors import DecodeError
from ci_tools.model.codec import dumps, loads
from ci_tools.model.verdict import VERDICT_VERSION, Input, Verdict

Rejudge = Callable[[Verdict, Sequence[Path]], Verdict]
"""Judges the inputs of a verdict again under its own policy and at its own time (``verdict.created_at``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What came out. ``problems`` are lines for people, each naming the file or the field; empty means sound.

    ``absent`` are published files that do not lie beside the verdict: whoever took it alone lied about nothing.
    """

    verdict: Verdict
    problems: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether the verdict is what its inputs say."""
        return not self.problems


def seal(verdict: Verdict) -> Verdict:
    """The verdict with a digest over itself, as it reads back: the last thing before it is written, after any masking."""
    as_read = loads(Verdict, dumps(verdict))
    return replace(as_read, digest=_digest_of(as_read))


def verify(path: Path, *, rejudge: Rejudge | None = None) -> Verification:
    """Check the verdict in ``path`` against its own digest, those of its inputs and of what was published beside it.

    With ``rejudge`` its rules are asked again too.

    Inputs are looked for relative to the verdict's folder. DecodeError when ``path`` holds no verdict. A digest proves
    that nothing changed by accident or in one place; whoever rewrites verdict *and* inputs is found by nobody offline.
    """
    try:
        data = path.read_bytes()
        verdict = loads(Verdict, data, where=str(path))
    except OSError as error:
        raise DecodeError(f"{path} cannot be read: {error.strerror}", hint="give the path of a verdict.json") from error
    problems = list(_problems_of_text(verdict, data))
    problems.extend(problem for entry in verdict.inputs for problem in _problems_of_input(entry, path.parent))
    absent = tuple(entry.path for entry in verdict.published if not os.path.lexists(_path_of(entry, path.parent)))
    for entry in verdict.published:
        if entry.path not in absent:
            problems.extend(_problems_of_input(entry, path.parent))
    # Judging other bytes again would only say in many words what is already said.
    if rejudge is not None and not problems:
        again = rejudge(verdict, [_path_of(entry, path.parent) for entry in verdict.inputs])
        problems.extend(_differences(verdict, again))
    return Verification(verdict=verdict, problems=tuple(problems), absent=absent)


def _digest_of(verdict: Verdict) -> str:
    text = dumps(replace(verdict, digest=""))
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()}"


def _problems_of_text(verdict: Verdict, data: bytes) -> Iterator[str]:
    if verdict.version > VERDICT_VERSION:
        yield f"the verdict has version {verdict.version}, this ci-tools reads up to {VERDICT_VERSION}: use the newer one"
    if not verdict.digest:
        yield "the verdict has no digest: it was not sealed, or the digest was taken out"
    elif verdict.digest != _digest_of(verdict):
        now = _digest_of(verdict)
        yield f"the verdict was changed after it was written: its digest is {now[:19]}, it says {verdict.digest[:19]}"
    elif data != dumps(verdict).encode("utf-8", "backslashreplace"):
        # A key that is there twice, or that nobody knows, is read over: a person may have read the other one.
        yield "the verdict's file was rewritten: it holds more, or other bytes, than ci-tools writes for this verdict"
    if not verdict.inputs:
        yield "the verdict names no input: nothing can be checked"


def _problems_of_input(entry: Input, folder: Path) -> Iterator[str]:
    path = _path_of(entry, folder)
    try:
        if path.exists() and not path.is_file():  # to open a pipe would wait for ever
            yield f"{entry.path} is no file any more"
            return
        with path.open("rb") as stream:
            now = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except OSError as error:
        yield f"{entry.path} cannot be read: {error.strerror}"
        return
    if now != entry.sha256:
        yield f"{entry.path} was changed: sha256 {now[:12]} and {size} bytes, expected {entry.sha256[:12]} and {entry.size}"


def _path_of(entry: Input, folder: Path) -> Path:
    path = Path(entry.path)
    return path if path.is_absolute() else folder / path


def _differences(said: Verdict, again: Verdict) -> Iterator[str]:
    """What decides, compared: texts that masking may have touched are not."""
    for name in ("decision", "exit_code", "expected", "is_complete_proven", "flaky"):
        one, other = getattr(said, name), getattr(again, name)
        if one != other:
            yield f"{name} is {one!r}, judged again it is {other!r}"
    if dict(said.counts) != dict(again.counts):
        yield f"counts are {dict(said.counts)}, counted again they are {dict(again.counts)}"
    rules = {result.rule: result for result in again.rules}
    for result in said.rules:
        now = rules.pop(result.rule, None)
        if now is None:
            yield f"rule {result.rule} is not known here: another version of ci-tools judged ({said.tool_version})"
        elif (now.holds, now.expected) != (result.holds, result.expected):
            yield f"rule {result.rule}: holds is {result.holds} ({result.expected}), judged again {now.holds} ({now.expected})"
    yield from (f"rule {name} was not asked then" for name in rules)
    found = [(cause.signature, len(cause.tests)) for cause in again.causes]
    if [(cause.signature, len(cause.tests)) for cause in said.causes] != found:
        yield f"the causes are {len(said.causes)}, found again {len(again.causes)} or with other tests"
