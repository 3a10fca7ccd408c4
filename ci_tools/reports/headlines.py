"""What runners of other languages say before the stack that they print: jest, Mocha, PHPUnit, GoogleTest and others. Pure."""

import re

from ci_tools.reports.traces import STACK_LINE

_OWN_NAME = re.compile(r"\A[\w\\]+(?:::|->)\w+(?: with data set .*)?\n")
"""PHPUnit names the test again."""
_PLACED = re.compile(r"\A\S+\.(?:cc|cpp|cxx|c|hh?|hpp|mm?|swift):\d+(?::\d+)?:?(?: error:| Failure)?\s*\n")
"""GoogleTest and its like begin with the place."""
_LACKS = re.compile(
    r"\Aexpect\([^\n]*?\)(?:\.(?!not\b)\w+)*\.toHaveProperty\([^\n]*\n+Expected path: (\"[^\"\n]+\"|\[[^\]\n]+\])"
)
LONGEST_HEADLINE = 4_000
"""Characters of a text that are read before its stack."""


def has_foreign_stack(text: str) -> bool:
    """Whether the text shows a stack of another language near its beginning."""
    return STACK_LINE.search(text[:LONGEST_HEADLINE]) is not None


def headline_in(text: str, type_name: str) -> str:
    """All that a text says before its first stack line, without the test's own name; of several exceptions, ``type_name``'s."""
    text = text.lstrip()[:LONGEST_HEADLINE]
    stack = STACK_LINE.search(text)
    said = _OWN_NAME.sub("", text[: stack.start()] if stack else text).strip()
    if type_name and (at := f"\n{said}".find(f"\n{type_name}: ")) >= 0:
        said = said[at:]
    return _PLACED.sub("", said)


def of_expectation(message: str) -> str:
    """An expectation of jest or vitest; in one line, where it says only below what it missed."""
    lacking = _LACKS.match(message)
    return f"the received value has no property {lacking[1]}" if lacking else message
