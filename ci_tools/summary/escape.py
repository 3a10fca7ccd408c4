"""Text that tests, services and strangers wrote, made harmless for the place where it is shown.

One function a place. Every one of them first makes invisible characters visible: a bidi override or a zero-width space in a
test name must neither hide nor reorder anything.
"""

import html
import re

_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab, newline and carriage return
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f"  # soft hyphen, marks, zero width
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # line separators, bidi, joiners, annotations
    "\ud800-\udfff"  # lone surrogates: they are not UTF-8
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
    "]"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_BREAK = re.compile(r"\r\n?|\n")
_BACKTICKS = re.compile(r"`+")
_MARKDOWN = re.compile(r"[\\`*\[\]!|~$]|(?<![^\W_])_|_(?![^\W_])")
_LINKED = re.compile(r"(@|#(?=\d)|(?<=\bGH)-(?=\d)|:(?=//)|(?<=\bwww)\.)", re.IGNORECASE)
_CELL_SPECIAL = re.compile(r"[\\`*\[\]|~$@#!]|:(?=//)|(?<![^\W_])_|_(?![^\W_])|(?<=www)\.", re.IGNORECASE)
_OLD_COMMAND = re.compile(r"##(?=\[)")
_ELLIPSIS = "…"


def visible(text: str) -> str:
    """The same text without colours, invisible and reordering characters written as their escapes; line ends are newlines."""
    text = _COLOUR.sub("", text)
    text = text.replace("\r\n", "\n").replace("\r", "\\r")
    return _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """Visible text on one line: breaks become ⏎, tabs spaces."""
    return visible(_BREAK.sub("\n", text).strip()).replace("\n", " ⏎ ").replace("\t", " ")


def markdown_text(text: str) -> str:
    """One line for a Markdown paragraph: no markup, HTML, mention, issue reference or link comes out of it."""
    escaped = _MARKDOWN.sub(r"\\\g<0>", one_line(text))
    escaped = html.escape(escaped, quote=False)
    # GitHub looks for mentions and references in the rendered text, where entities and backslashes are gone:
    # only a character between helps.
    return _LINKED.sub("\\g<0>&#8203;", escaped)


def inline_code(text: str) -> str:
    """One line as a Markdown code span, its delimiter longer than any run of backticks in the text. Not for table cells."""
    line = one_line(text) or " "
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def cell_code(text: str) -> str:
    """One line as ``<code>`` for a table cell or a ``<summary>``: a ``|`` in a code span would end the cell."""
    line = html.escape(one_line(text), quote=False)
    return f"<code>{_CELL_SPECIAL.sub(_entity, line)}</code>" if line else ""


def fence(text: str, *, info: str = "text") -> str:
    """A fenced block whose fence is longer than any run of backticks in the text. Ends without a newline."""
    body = visible(text).rstrip("\n")
    ticks = "`" * max(3, _longest_run(body) + 1)
    return f"{ticks}{info}\n{body}\n{ticks}"


def html_text(text: str) -> str:
    """Text for HTML content and for quoted attribute values; newlines are kept."""
    return html.escape(visible(text), quote=True)


def command_data(text: str) -> str:
    """The message of a GitHub workflow command. A lone carriage return counts as a line end: the runner reads lines so."""
    text = _OLD_COMMAND.sub("## ", _kept_breaks(text))
    return text.replace("%", "%25").replace("\n", "%0A")


def command_property(text: str) -> str:
    """A property value of a GitHub workflow command, on one line."""
    return command_data(one_line(text)).replace(":", "%3A").replace(",", "%2C")


def log_text(text: str) -> str:
    """Text for a job log, each line behind a bar: ``::command::`` counts only at a line's start, ``##[command]`` anywhere."""
    lines = _BREAK.split(text)
    return "\n".join("│ " + _OLD_COMMAND.sub("## ", visible(line)) for line in lines)


def truncate_middle(text: str, budget_bytes: int) -> str:
    """At most ``budget_bytes`` bytes of UTF-8: head and tail stay, a note between says how many bytes are gone."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= budget_bytes:
        return text
    note = f" {_ELLIPSIS} {len(data)} bytes, shortened {_ELLIPSIS} "
    room = budget_bytes - len(note.encode())
    if room <= 0:
        return data[: max(0, budget_bytes)].decode("utf-8", "ignore")
    head = data[: room - room // 2].decode("utf-8", "ignore")
    tail = data[len(data) - room // 2 :].decode("utf-8", "ignore")
    return f"{head}{note}{tail}"


def size_of(text: str) -> int:
    """Bytes of the text in UTF-8, which is what every limit of GitHub counts."""
    return len(text.encode("utf-8", "backslashreplace"))


def _kept_breaks(text: str) -> str:
    return "\n".join(visible(line) for line in _BREAK.split(text))


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)
