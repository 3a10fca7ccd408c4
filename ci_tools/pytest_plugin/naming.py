"""Naming: a parameter that is a secret gives a test ID with the variable's name in its place.

An ID stands in journals, plans, reports and the terminal, and nothing can be taken out of it there: with another ID the test
would be another one. So it never gets in. The variable's name says the same on every machine and for every value, two secrets
have two names, and ``pytest "test_a.py::test_it[<SHOP_API_TOKEN>]"`` finds the test.
"""

import re
from collections.abc import Generator, Mapping

import pytest


class Naming:
    """Names parameters by the variables that hold them; ``secrets`` are values by variable, none of them empty."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names = {value: name for name, value in sorted(secrets.items(), reverse=True)}  # of equal ones the first name
        ordered = sorted(self._names, key=lambda value: (-len(value), value))
        self._pattern = re.compile("|".join(map(re.escape, ordered)))

    @pytest.hookimpl(wrapper=True)
    def pytest_make_parametrize_id(self, val: object) -> Generator[None, str | None, str | None]:
        """The parameter's name without secrets, also where a conftest.py makes it; None leaves it to pytest."""
        named = yield
        shown = named if named is not None else val
        if isinstance(shown, bytes):
            shown = shown.decode("utf-8", "backslashreplace")
        if not isinstance(shown, str) or self._pattern.search(shown) is None:
            return named
        hidden = self._pattern.sub(lambda found: f"<{self._names[found[0]]}>", shown)
        return hidden if named is not None else hidden.encode("unicode_escape").decode("ascii")  # as pytest shows a value
