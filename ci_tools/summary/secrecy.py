"""Which values of an environment are secrets, by the names of their variables."""

from collections.abc import Mapping

_WORDS = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY", "ACCESS_KEY", "CREDENTIAL")
_SHORTEST = 12
"""Characters of a secret; a shorter word, like "test" or "postgres", would blank half of every report."""
_SHORTEST_MIXED = 8
"""The same where it has letters, digits and both cases or a sign: no word of any report looks like that."""


def secrets_of(environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets by variable, in the order of their names."""
    names = sorted(name for name in environ if any(word in name.upper() for word in _WORDS))
    return {name: environ[name] for name in names if _is_long_enough(environ[name])}


def _is_long_enough(value: str) -> bool:
    is_mixed = any(map(str.isalpha, value)) and any(map(str.isdigit, value)) and not (value.isalnum() and value == value.lower())
    return len(value) >= (_SHORTEST_MIXED if is_mixed else _SHORTEST)
