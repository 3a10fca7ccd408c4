"""A library adds a handler to its logger when it is asked to, and the test takes it away again."""

import logging
import types

library = types.ModuleType("corpus_saying")
library.__file__ = "/usr/lib/invented/corpus_saying.py"
TEXT = """
import logging

logging.getLogger("corpus_saying").addHandler(logging.NullHandler())


def say():
    handler = logging.StreamHandler()
    logging.getLogger("corpus_saying").addHandler(handler)
    return handler
"""
exec(compile(TEXT, library.__file__, "exec"), vars(library))


def test_it():
    handler = library.say()
    logger = logging.getLogger("corpus_saying")
    assert handler in logger.handlers
    logger.removeHandler(handler)
