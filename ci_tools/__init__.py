"""CI toolkit: real services, sharded and guarded integration suites, a gated verdict."""

__version__ = "0.1.0"
