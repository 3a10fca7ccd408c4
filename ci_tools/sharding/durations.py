"""Durations of elsewhere: pytest-split's ``.test_durations``, as the pairs that timings are made from. Pure."""

import json

from ci_tools.errors import DecodeError


def parse_durations(text: str | bytes, *, where: str = ".test_durations") -> tuple[tuple[str, float], ...]:
    """(test ID, seconds) of each entry, sorted; DecodeError when it is not an object of numbers by test ID.

    Its oldest form, a list of pairs, is read too. Seconds are set-up, call and tear-down together.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"{where} is not JSON: {error}", hint="make it again: pytest --store-durations") from error
    entries = list(data.items()) if isinstance(data, dict) else data
    if not isinstance(entries, list) or not all(map(_is_pair, entries)):
        what = f"{where} is not an object of seconds by test ID"
        raise DecodeError(what, hint="this is no file of pytest-split; JUnit files are read by `ci-tools timings from-junit`")
    return tuple(sorted((str(test_id), float(seconds)) for test_id, seconds in entries))


def _is_pair(entry: object) -> bool:
    match entry:
        case [str(), int() | float() as seconds] | (str(), int() | float() as seconds):
            return not isinstance(seconds, bool)
    return False
