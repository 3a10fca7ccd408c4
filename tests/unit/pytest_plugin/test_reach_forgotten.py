"""Whether anybody can still reach an object: a cycle of garbage holds nothing."""

import gc
import sys
import types

from ci_tools.pytest_plugin.reach import is_forgotten, keeper_of


class _Thing:
    def __init__(self) -> None:
        self.more: object = None


KEPT: list[_Thing] = []


def _in_a_cycle() -> _Thing:
    thing, other = _Thing(), _Thing()
    thing.more, other.more = other, thing
    return thing


def test_what_only_its_own_cycle_holds_is_forgotten() -> None:
    """The running function that asks does not count."""
    thing = _in_a_cycle()
    assert is_forgotten(thing)
    assert gc.is_tracked(thing)


def test_what_a_module_or_a_class_leads_to_is_not() -> None:
    """However many steps lie between."""
    thing = _in_a_cycle()
    KEPT.append(thing)
    assert not is_forgotten(thing)
    KEPT.clear()

    module = types.ModuleType("kept_for_a_moment")
    vars(module)["deep"] = {"er": [thing]}
    sys.modules[module.__name__] = module
    try:
        assert not is_forgotten(thing)
    finally:
        del sys.modules[module.__name__]
    holder = type("Holder", (), {"thing": thing})
    assert not is_forgotten(thing)
    del holder


def test_a_keeper_is_looked_for_among_all_objects_once() -> None:
    """What kept one thing is asked first about the next; who no longer holds anything is not believed."""
    module = types.ModuleType("keeps_for_a_moment")
    module.cache = {"deep": {}}  # type: ignore[attr-defined] # made up
    sys.modules[module.__name__] = module
    calls: list[str] = []

    def count(_frame: object, event: str, function: object) -> None:
        if event == "c_call" and function is gc.get_referrers:
            calls.append(event)

    try:
        for number, expected in ((0, True), (1, False)):
            thing = _Thing()
            module.cache["deep"][number] = {"it": thing}
            calls.clear()
            sys.setprofile(count)
            try:
                found = keeper_of(thing, ())
            finally:
                sys.setprofile(None)
            assert (found, bool(calls)) == (module.__name__, expected)
        assert not keeper_of(_in_a_cycle(), ())
    finally:
        del sys.modules[module.__name__]
