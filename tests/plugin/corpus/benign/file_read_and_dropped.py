"""A file is read in one expression: it is closed as soon as nobody holds it."""

import warnings


def test_it() -> None:
    """Leaves it to the interpreter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        assert open(__file__, encoding="utf-8").read()
