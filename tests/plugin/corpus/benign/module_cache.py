"""A module keeps what it has worked out."""

import functools
import re
import sys
import types

CACHE = {}


@functools.lru_cache
def parsed(text):
    return re.compile(text)


def remember(key):
    return CACHE.setdefault(key, object())


def test_one():
    assert parsed("a+").match("aaa")
    assert remember("one") is remember("one")


def test_attribute_of_an_object_and_of_a_function():
    thing = types.SimpleNamespace(value=1)
    thing.value = 2
    remember.calls = 3
    thing.other = 4
    assert thing.other == 4
    assert sys.modules[__name__].CACHE is CACHE
