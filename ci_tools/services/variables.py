"""Variables: what a person sets to have a server adopted."""

from ci_tools.model.service import ServiceKind

PREFIX_VARIABLE = "CI_TOOLS_REDIS_PREFIX"
"""Set for tests whose Redis is a prefix of an adopted one: how every key and channel must begin."""


def adopted_variable(kind: ServiceKind) -> str:
    """The variable that names a server to adopt. Never ``DATABASE_URL`` or ``REDIS_URL``: those may name production."""
    return f"CI_TOOLS_{kind.upper()}_URL"
