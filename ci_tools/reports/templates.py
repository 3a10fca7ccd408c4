"""What a ``raise`` statement fills into its sentence, where its source is shown, and which of it is data. Pure."""

import ast
import re
from functools import lru_cache

from ci_tools.reports.roots import Root

_SCHEMA = re.compile(
    r"argument|attribute|channel|code|column|command|database|dependency|directory|environment|event|field|file|folder|function"
    r"|header|host|key|kind|level|method|mode|module|name|option|package|parameter|path|permission|phase|plugin|queue|role|server"
    r"|service|setting|stage|state|status|step|table|topic|type|unit|user|variable|version"
)
"""What a project has few of, each with its own fault: which one it is matters."""

_LAST_WORD = re.compile(r"([A-Za-z]+)\W{0,3}\Z")
_GIVES_UP = re.compile(r"raise |(?:pytest\.|self\.)?fail\(")


def sentence_of(origin: Root) -> str:
    """The message without what its ``raise`` statement fills in as data (``branch {branch}``); empty where nothing is known."""
    places = origin.places()
    source = (places[-1].source if places else "") or origin.marked
    if not _GIVES_UP.match(source):
        return ""
    template = _template(origin.statement if source.endswith("(") else source)
    found = template.match(origin.message) if template else None
    if template is None or found is None:
        return ""
    text, shift = origin.message, 0
    for name in sorted(template.groupindex, key=found.start):
        start, end = found.span(name)
        text = f"{text[: start - shift]}\0{text[end - shift :]}"
        shift += end - start - 1
    return text


@lru_cache(maxsize=1024)
def _template(source: str) -> re.Pattern[str] | None:
    """The sentence as a pattern with a named group for each filling that is data; None where there is none."""
    try:
        statement = ast.parse(source).body[0]
    except (SyntaxError, ValueError, IndexError, RecursionError):
        return None
    sentence = next((node for node in ast.walk(statement) if isinstance(node, ast.JoinedStr)), None)
    if sentence is None:
        return None
    pattern, before, has_data = "", "", False
    for index, part in enumerate(sentence.values):
        if isinstance(part, ast.Constant):
            before = str(part.value)
            pattern += re.escape(before)
        elif isinstance(part, ast.FormattedValue):
            is_data = _is_named_before(part.value, before)
            has_data = has_data or is_data
            pattern += f"(?P<data{index}>.+?)" if is_data else "(?:.*?)"
            before = ""
    return re.compile(rf"{pattern}\Z", re.DOTALL) if has_data else None


def _is_named_before(value: ast.expr, before: str) -> bool:
    """Whether the word before a filling says what it is: ``order {order.id}``."""
    word = _LAST_WORD.search(before)
    if word is None or _SCHEMA.fullmatch(word[1].lower()):
        return False
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(value) if isinstance(node, ast.Attribute)}
    return any(word[1].lower() in name.lower().split("_") for name in names)
