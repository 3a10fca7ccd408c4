"""A limit of the process is lowered and stays so.

kind: environment
outcome: error
says: limits of resources
"""

import resource


def test_offender() -> None:
    """The limit that can be raised again."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (4096, most))  # made here


def test_innocent() -> None:
    """It is as it was."""
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] != 4096
