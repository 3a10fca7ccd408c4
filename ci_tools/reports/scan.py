"""Reads one JUnit file as a stream: case by case, within limits, whatever can be read of it.

lxml's target parser hands over start tags, end tags and text as they come; no tree is built, so that memory stays flat.
"""

import hashlib
import re
from pathlib import Path

from lxml import etree

from ci_tools.reports.elements import LIMITS, Limits, Scan
from ci_tools.reports.target import OnCase, OnPlain, RefusalError, Target

CHUNK_BYTES = 1 << 16

_ENCODINGS = re.compile(rb"(?i)^(utf-?8|utf-?16(le|be)?|us-ascii|ascii|iso-?8859-?\d+|latin-?\d|windows-125\d|cp125\d)$")
_DECLARATION = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_SURROGATE = re.compile(
    rb"&#(?:[xX]0*[dD][89a-fA-F][0-9a-fA-F]{2}|0*5(?:529[6-9]|5[3-9]\d\d|6\d{3}|7[0-2]\d\d|73[0-3]\d|734[0-3]));"
)


def scan(
    path: Path,
    on_case: OnCase,
    *,
    limits: Limits = LIMITS,
    keeps_output: bool = False,
    on_plain: OnPlain | None = None,
    hashes: bool = True,
) -> Scan:
    """Give every case of ``path`` to ``on_case`` in the file's order; what went wrong stands in the result.

    What tests printed is read over unless ``keeps_output``. ``on_plain`` takes, if given, many plain passes of one suite at
    once, which is faster: the attributes of each, which are name, classname and time.
    Never raises for what the file holds. A file with a DOCTYPE is refused: reports need none, attacks do.
    """
    found = Scan()
    target = Target(found, on_case, limits, keeps_output=keeps_output, on_plain=on_plain)
    parser = etree.XMLParser(
        target=target,  # type: ignore[arg-type] # the stubs ask for bytes, which lxml never gives
        recover=True,
        huge_tree=True,
        resolve_entities="internal",  # type: ignore[arg-type] # False would hand over &amp; in attributes as &#38;
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
    )
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                if hashes:
                    hasher.update(chunk)
                found.size += len(chunk)
                if not found.corrupt:
                    _feed(parser, chunk, found, limits)
    except OSError as error:
        found.corrupt.append(f"cannot be read: {error.strerror}")
    found.digest = hasher.hexdigest() if hashes else ""
    _close(parser, target, found)
    target.finish()
    found.corrupt.extend(found.lies)
    return found


def _feed(parser: etree.XMLParser, chunk: bytes, found: Scan, limits: Limits) -> None:
    try:
        _check(chunk, found, limits)
        # A reference to half a character would end lxml itself; as a control character it is recovered from, and said.
        mark = _mark_of(chunk) if found.size == len(chunk) else b""
        parser.feed(mark + (_SURROGATE.sub(b"&#0;", chunk) if b"&#" in chunk else chunk))
    except RefusalError as refusal:
        found.corrupt.append(str(refusal))
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        found.corrupt.append(f"is not XML: {_first_line(error)}")


def _mark_of(head: bytes) -> bytes:
    """The byte order mark that a UTF-16 file lacks: some editors and shells write none, and then XML has to be told."""
    return {b"<\0": b"\xff\xfe", b"\0<": b"\xfe\xff"}.get(head[:2], b"") if head[2:4] != b"\0\0" else b""


def _check(chunk: bytes, found: Scan, limits: Limits) -> None:
    if found.size > limits.size_bytes:
        raise RefusalError(f"is larger than {limits.size_bytes} bytes: the rest is not read")
    if found.size > len(chunk):
        return
    # Encodings of the ASCII and UTF-16 families only: in others a DOCTYPE could hide from the parser's own checks.
    head = chunk[:1024].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if head and not head.startswith(b"<"):
        raise RefusalError(f"does not begin as XML but with {head[:20]!r}")
    declared = _DECLARATION.match(head)
    if declared and not _ENCODINGS.match(declared[1]):
        raise RefusalError(f"declares the encoding {declared[1][:40]!r}; UTF-8, UTF-16, ISO 8859 and Windows code pages are read")


def _close(parser: etree.XMLParser, target: Target, found: Scan) -> None:
    # What waits here was read before the end came; a refusal of it is one like any other.
    try:
        target.hand_over()
    except RefusalError as refusal:
        found.corrupt.append(str(refusal))
    target.is_at_end = True
    if found.corrupt:
        return
    if not found.size:
        found.corrupt.append("is empty")
        return
    try:
        parser.close()
    except RefusalError as refusal:
        found.corrupt.append(str(refusal))
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        found.corrupt.append(f"is not XML: {_first_line(error)}")
    for entry in parser.feed_error_log:
        if entry.level >= etree.ErrorLevels.ERROR:
            found.corrupt.append(f"line {entry.line}: {entry.message}")
            break
    if not found.root and not found.corrupt:
        found.corrupt.append("holds no element")


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:200] or type(error).__name__
