"""Modules that are looked for again when some have come: libraries' are not looked at twice, unless somebody replaced them."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.leaks.state import _OwnModules

PROJECT = Path(__file__).parents[3]
LIBRARY, OTHER, NEW = "pluggy", "xdist", "invented_by_a_test"


@pytest.fixture
def own() -> _OwnModules:
    """What has looked at all that is loaded."""
    modules = _OwnModules()
    modules.project = Project(PROJECT)
    modules.modules()
    return modules


@pytest.mark.parametrize("name", [LIBRARY, OTHER])
def test_a_library_that_was_replaced_by_an_invention_is_seen(
    own: _OwnModules, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was looked at before, and found to be nobody's concern."""
    aspect = f"module {name}"
    assert aspect not in own.invented
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, NEW, ModuleType(NEW))
    own.modules()
    assert {aspect, f"module {NEW}"} <= own.invented
    assert own.value_of(aspect) is sys.modules[name]


def test_an_invention_at_the_place_of_a_module_that_went_is_seen(own: _OwnModules) -> None:
    """The identity of what went is given again."""
    gone = ModuleType("short_lived")
    gone.__spec__ = ModuleSpec("short_lived", None)
    place = id(gone)
    try:
        sys.modules["short_lived"] = gone
        own.modules()
        del sys.modules["short_lived"], gone
        again = [ModuleType("short_lived") for _ in range(100)]
        invented = next((one for one in again if id(one) == place), None)
        if invented is None:
            pytest.skip("the place was not given again")
        sys.modules |= {"short_lived": invented, NEW: ModuleType(NEW)}
        own.modules()
        assert "module short_lived" in own.invented
    finally:
        for name in ("short_lived", NEW):
            sys.modules.pop(name, None)


def test_what_the_project_imports_later_is_seen(own: _OwnModules, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a module that was empty when it was looked at first."""
    late = ModuleType("late_of_the_project")
    late.__file__ = str(PROJECT / "tests" / "late_of_the_project.py")
    monkeypatch.setitem(sys.modules, late.__name__, late)
    own.modules()
    late.__dict__[LIBRARY] = sys.modules[LIBRARY]
    monkeypatch.setitem(sys.modules, NEW, ModuleType(NEW))
    own.modules()
    assert own.value_of("module late_of_the_project") is late
    assert own.value_of(f"module {LIBRARY}") is sys.modules[LIBRARY]
