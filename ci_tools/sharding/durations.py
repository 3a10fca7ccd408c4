"""Durations of elsewhere: pytest-split's ``.test_durations``, as the pairs that timings are made from. Pure."""

import json

from ci_tools.errors import DecodeError


def parse_durations(text: str | bytes, *, where: str = ".test_durations") -> tuple[tuple[str, float], ...]:
    """(test ID, seconds) of each entry, sorted; DecodeError when it is not an object of numbers by test ID.

    Its oldest form, a list of pairs, is read too. Seconds are set-up, call and tear-down together.
    """
    try:
        data = json.loads(text, parse_int=float)  # one of 400 digits is infinite, no error
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"{where} is not JSON: {error}", hint="make it again: pytest --store-durations") from error
    entries = list(data.items()) if isinstance(data, dict) else data
    wrong = [entry for entry in entries if not _is_pair(entry)] if isinstance(entries, list) else [entries]
    if wrong:
        what = f"{where} holds {wrong[0]!r:.80}, expected seconds by test ID"
        raise DecodeError(what, hint="give pytest-split's .test_durations or JUnit files; timings: `ci-tools timings merge`")
    return tuple(sorted((str(test_id), float(seconds)) for test_id, seconds in entries))


def _is_pair(entry: object) -> bool:
    match entry:
        case [str(), int() | float() as seconds] | (str(), int() | float() as seconds):
            return not isinstance(seconds, bool)
    return False
