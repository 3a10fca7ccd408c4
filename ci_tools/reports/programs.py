"""What is said of a program that ended badly: which, and how; its other arguments are data. Pure."""

import re
from itertools import takewhile

from ci_tools.reports.masks import mask, name_of_file

_COMMAND = re.compile(
    r"Command (.*) (returned non-zero exit status -?\d+|died with (?:<Signals\.\w+: \d+>|\w+ signal \d+)|timed out after)",
    re.DOTALL,
)
_TOLD_OF_END = re.compile(
    r"(?:[Cc]ommand |[Pp]rogram |[Tt]ool |[Pp]rocess )?"
    r"(?:(?P<quote>[`'\"])(?P<command>[^\n]{1,300}?)(?P=quote)|(?P<name>[\w./-]{2,60}))"
    r"(?: has)? (?:(?P<exits>exited|died|terminated)|ended|failed|finished|returned|stopped)"
    r"(?P<words>(?:[ ,:(]+(?:an?|with|code|status|exit|return|non-?zero))*)[ :=(]+(?P<status>25[0-5]|2[0-4]\d|1?\d?\d)\b"
    r"(?!\.\d|%| \w+ failed)"
)
"""The project's own words for it: `` `tool arguments` ended with 3 ``."""
_INTERPRETER = re.compile(
    r"python[\d.]*|(?:ba|z|da)?sh|node|env|sudo|npx|uv|uvx|run|exec|perl|ruby|java|timeout|nice|[^\w]*|<\w+>"
)


def said_of_program(type_name: str, message: str) -> tuple[str, str, tuple[str, ...]] | None:
    """Type, words and hard tokens: the program with its sub-command, and how it ended, whoever says it."""
    if found := _COMMAND.match(message) if message.startswith("Command ") else None:
        end = " ".join(found[2].split())
        ended = "timed out" if end.startswith("timed out") else re.sub(r"<Signals\.(\w+): \d+>", r"\1", end).rstrip(".")
        return type_name, *_ended(found[1], ended)
    told = _TOLD_OF_END.match(message)
    if told and (told["command"] or told["exits"] or "exit" in told["words"] or message[told.end() :][:1] in {"", ":", ","}):
        return "subprocess.CalledProcessError", *_ended(
            told["command"] or told["name"], f"returned non-zero exit status {told['status']}"
        )
    return None


def _ended(command: str, ended: str) -> tuple[str, tuple[str, ...]]:
    words = [word for word in re.split(r"[\s'\",\[\]]+", command) if word and not word.startswith("-")]
    plain = [name_of_file(word) or _numbered(word) or mask(word)[0] for word in words]
    named = [word for word in plain if not _INTERPRETER.fullmatch(word)][:2]
    program = " ".join(word for index, word in enumerate(named) if index == 0 or (word.isalpha() and not word.istitle()))
    return f"{program} {ended}", (f"'{program}'", ended)


def _numbered(path: str) -> str:
    """The name of a program of which there are many, without what tells them apart: ``job-17`` is ``job``."""
    name = re.split(r"[\\/]", path)[-1]
    kept = takewhile(_WORD.fullmatch, re.split(r"[-_.]", name))
    return "" if name.startswith("tmp") else "-".join(kept)


_WORD = re.compile(r"[A-Za-z]{2,}")
