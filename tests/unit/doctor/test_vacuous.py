"""Vacuous tests by their text: one sample for each pattern, and what is left alone."""

import ast
from pathlib import Path

import pytest

from ci_tools.doctor.findings import Condition
from ci_tools.doctor.tree import SourceFile, Tree
from ci_tools.doctor.vacuous import examine_tests

BROKEN = {
    "coroutine in a TestCase": (
        "import unittest\nclass TestX(unittest.TestCase):\n    async def test_a(self):\n        self.assertTrue(False)\n",
        "test_x.py:3",
        "TestX.test_a is a coroutine in a plain TestCase",
    ),
    "coroutine in a child of a TestCase": (
        (
            "from unittest import TestCase\nclass Base(TestCase):\n    pass\n"
            "class TestX(Base):\n    async def test_a(self):\n        assert 0\n"
        ),
        "test_x.py:5",
        "TestX.test_a is a coroutine in a plain TestCase",
    ),
    "async setup_method": (
        "class TestX:\n    async def setup_method(self):\n        self.x = 1\n    def test_a(self):\n        assert True\n",
        "test_x.py:2",
        "TestX.setup_method is a coroutine",
    ),
    "async setUp": (
        "import unittest\nclass X(unittest.IsolatedAsyncioTestCase):\n    async def setUp(self):\n        self.x = 1\n",
        "test_x.py:3",
        "X.setUp is a coroutine",
    ),
    "async setup_module": ("async def setup_module():\n    pass\n", "test_x.py:1", "setup_module is a coroutine"),
    "early return, no assert": (
        "def test_a(client):\n    if client is None:\n        return\n    client.ping()\n",
        "test_x.py:3",
        "test_a may return early and asserts nothing",
    ),
    "early return before the assert": (
        (
            "async def test_a(client):\n    try:\n        await client.ping()\n"
            "    except OSError:\n        return\n    assert client\n"
        ),
        "test_x.py:5",
        "test_a may return early before its first assertion",
    ),
    "mock": (
        (
            "import pytest\nfrom unittest.mock import AsyncMock\n@pytest.mark.service('redis')\n"
            "def test_a():\n    assert AsyncMock\n"
        ),
        "test_x.py:2",
        "import of unittest.mock",
    ),
    "mock of the package": (
        "import pytest\nfrom unittest import mock\npytestmark = pytest.mark.service('redis')\ndef test_a():\n    assert mock\n",
        "test_x.py:2",
        "import of unittest.mock",
    ),
    "fakeredis": (
        "import pytest, fakeredis\n@pytest.mark.service('redis')\ndef test_a():\n    assert fakeredis\n",
        "test_x.py:1",
        "import fakeredis",
    ),
    "mocker": (
        "import pytest\n@pytest.mark.service('redis')\ndef test_a(mocker):\n    assert mocker\n",
        "test_x.py:3",
        "fixture mocker",
    ),
    "monkeypatched client": (
        (
            "import pytest\n@pytest.mark.service('redis')\ndef test_a(monkeypatch):\n"
            "    monkeypatch.setattr('redis.Redis.get', lambda *_: b'1')\n    assert True\n"
        ),
        "test_x.py:4",
        "monkeypatch of redis.Redis.get",
    ),
}

SOUND = {
    "isolated": (
        "import unittest\nclass X(unittest.IsolatedAsyncioTestCase):\n    async def test_a(self):\n        self.assertTrue(1)\n"
    ),
    "return at the end": "def test_a():\n    assert True\n    return\n",
    "return of an inner function": "def test_a():\n    def inner():\n        return\n    assert inner() is None\n",
    "raises": "import pytest\ndef test_a():\n    with pytest.raises(ValueError):\n        int('x')\n",
    "skip": (
        "import pytest\ndef test_a(client):\n    if client is None:\n"
        "        pytest.skip('no client')\n        return\n    assert client\n"
    ),
    "mock in a unit test": "from unittest.mock import Mock\ndef test_a():\n    assert Mock\n",
    "monkeypatched variable": (
        "import pytest\n@pytest.mark.service('redis')\ndef test_a(monkeypatch):\n    monkeypatch.setenv('A', '1')\n    assert 1\n"
    ),
}


def _file(text: str, name: str = "test_x.py") -> SourceFile:
    return SourceFile(path=Path(name), name=name, tree=ast.parse(text), is_conftest=name.endswith("conftest.py"))


@pytest.mark.parametrize("pattern", BROKEN)
def test_each_pattern_is_named_with_its_line(pattern: str) -> None:
    """A test that can pass without having shown anything breaks the link, at its line."""
    text, where, said = BROKEN[pattern]
    examined = examine_tests(Tree(conftests=(), tests=(_file(text),)))
    broken = [finding for finding in examined.findings if not finding.is_hint]
    assert [where] == [finding.where for finding in broken]
    assert (True, True) == (said in broken[0].what, broken[0].remedy != "")


@pytest.mark.parametrize("sample", SOUND)
def test_what_asserts_and_runs_is_left_alone(sample: str) -> None:
    """A test that is awaited and asserts is no finding, not even a hint."""
    assert () == examine_tests(Tree(conftests=(), tests=(_file(SOUND[sample]),))).findings


def test_a_test_without_an_assertion_is_a_hint() -> None:
    """A test that only calls something may be meant so: it is said, and breaks nothing."""
    examined = examine_tests(Tree(conftests=(), tests=(_file("def test_a(client):\n    client.ping()\n"),)))
    assert (Condition.HOLDS, [True]) == (examined.condition, [finding.is_hint for finding in examined.findings])


def test_a_mock_in_a_conftest_above_a_service_test_is_named() -> None:
    """A conftest belongs to the tests below it: a mock there stands beside their real service; one elsewhere does not."""
    mocking = "import fakeredis\n"
    serving = _file("import pytest\n@pytest.mark.service('redis')\ndef test_a():\n    assert 1\n", "integration/test_x.py")
    above, beside = _file(mocking, "integration/conftest.py"), _file(mocking, "unit/conftest.py")
    examined = examine_tests(Tree(conftests=(above, beside), tests=(serving,)))
    assert ["integration/conftest.py:1"] == [finding.where for finding in examined.findings]
