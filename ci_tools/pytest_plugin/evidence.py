"""Evidence: what a test really did with the services that it declares, as their servers and the kernel counted it."""

from collections.abc import Mapping, Sequence

import pytest

from ci_tools.model.case import Phase
from ci_tools.model.guard import GuardMode
from ci_tools.model.service import ServiceKind
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.marks import SERVICE
from ci_tools.pytest_plugin.meters import UNITS, Meter, meter_of
from ci_tools.pytest_plugin.offspring import Offspring
from ci_tools.pytest_plugin.ownership import Ownership, unowned
from ci_tools.pytest_plugin.provisioning import Provisioning
from ci_tools.pytest_plugin.recording import Recording
from ci_tools.pytest_plugin.selection import services_of
from ci_tools.pytest_plugin.standins import stand_in_of
from ci_tools.pytest_plugin.traffic import Traffic, TrafficMeter

_SETTLE_S = 0.5
"""A session that ends tells its server what it did a moment later; waited for only before a test is accused."""
_PAUSE_S = 0.02
_TRAFFIC = frozenset({"http", "websocket"})
_PROCESS = "process"
_ALL_KNOWN = frozenset({*UNITS, "database"})
"""A database is whichever the configuration has: declared for its reader, and not measured."""
_NAMELESS = f'the mark `service` names no service; write @pytest.mark.service("redis"), of {", ".join(UNITS)}'
_KINDS = {kind.value: kind for kind in ServiceKind}


class NoEvidenceError(pytest.fail.Exception):  # type: ignore[misc,name-defined] # public, but only an attribute
    """A test passed without touching a service that it declares."""


class NoEvidenceWarning(pytest.PytestWarning):
    """The same, where the configuration says ``warn``."""


class Evidence(Guard):
    """Measures each phase of the tests that declare a service; set-up and call together must have touched it."""

    mark = SERVICE

    def __init__(self, provisioning: Provisioning, recording: Recording, ownership: Ownership, mode: GuardMode) -> None:
        self._provisioning = provisioning
        self._offspring = Offspring(ownership)
        self._recording = recording
        self._mode = mode
        self._meters: dict[str, Meter] = {}
        self._running: set[str] = set()
        """The services whose meter has read on without a pause: the end of one test is the beginning of the next."""
        self._traffic: Traffic | None = None
        self._blind: set[str] = set()
        self._declared: tuple[str, ...] = ()
        self._latest = 0
        self._counts: dict[str, dict[Phase, Mapping[str, int]]] = {}
        self._own_servers = 0
        self._told: set[str] = set()
        self._error: BaseException | None = None
        """What the running test's mark got wrong, where the suite's filters turn warnings into errors."""

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """Remember where the counters stand."""
        if phase is Phase.SETUP:
            self._declared = services_of(item)
            self._error = None if _ALL_KNOWN.issuperset(self._declared) else self._say_unknown(item)
            if self._recording.begun != self._latest + 1:  # another test has run since, whose use nobody has read
                self._running.clear()
            self._latest = self._recording.begun
            if self._declared:
                self._begin()
            elif self._running:
                self._running.clear()
        elif self._traffic is not None and self._declared:
            self._traffic.look()

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """Measure; a call that passed must have been noticed by every service that the test declares."""
        if not self._declared:
            return error or (NoEvidenceError(_NAMELESS, pytrace=False) if phase is Phase.SETUP else None)
        if phase is Phase.SETUP:
            error = error or self._error
        self._measure(phase)
        if phase is Phase.CALL:
            missing = [name for name in self._counts if not self._is_touched(name)] if error is None else []
            if missing:
                self._settle(missing)
            for name in self._counts:
                for unit, total in self._totals(name).items():
                    self._note(item, f"{name}_{unit}", str(total))
            missing = [name for name in missing if not self._is_touched(name)]
            if missing:
                error = self._accuse(item, missing)
        elif phase is Phase.TEARDOWN:
            for name, phases in self._counts.items():
                told = (f"{one} {counts[UNITS[name]]}" for one, counts in phases.items())
                self._note(item, f"{name}_{UNITS[name]}_by_phase", ", ".join(told))
        return error

    def _say_unknown(self, item: pytest.Item) -> BaseException | None:
        """A misspelt service would let every test pass; one that is merely not ours to measure is said once."""
        unknown = [name for name in self._declared if name not in _ALL_KNOWN and name not in self._told]
        if not unknown:
            return None
        self._told.update(unknown)
        names = ", ".join(map(repr, unknown))
        return _warn(item, f"declared service {names} is not measured: known are {', '.join(UNITS)}")

    def count_anew(self, name: str) -> None:
        """Another guard of ours has asked this service: the next test's count begins with a new reading."""
        self._running.discard(name)

    def remove(self) -> None:
        """Close our connections, and put back what was patched."""
        for meter in self._meters.values():
            meter.close()
        self._meters.clear()
        if self._traffic is not None:
            self._traffic.remove()

    @unowned()
    def _begin(self) -> None:
        self._counts = {}
        self._blind = set()
        self._own_servers = self._provisioning.own_servers
        for name in self._declared:
            if name in _TRAFFIC:
                self._traffic = self._traffic or Traffic(self._provisioning.answers_at)
                self._traffic.look()
            if (meter := self._meter(name)) is not None and (name in self._running or meter.begin()):
                self._counts[name] = {}
                if name in _KINDS:
                    self._running.add(name)
        self._running.intersection_update(self._declared)

    def _meter(self, name: str) -> Meter | None:
        known = self._meters.get(name)
        if known is None and name == _PROCESS:
            known = self._meters[name] = self._offspring
        elif known is None and name in _TRAFFIC and self._traffic is not None:
            known = self._meters[name] = TrafficMeter(name, UNITS[name], self._traffic, self._offspring.started)
        elif known is None and name in _KINDS:
            endpoint = self._provisioning.counted(_KINDS[name])
            if endpoint is not None:
                known = self._meters[name] = meter_of(endpoint)
        return known

    @unowned()
    def _measure(self, phase: Phase) -> None:
        for name in list(self._counts):
            meter = self._meters[name]
            measured = meter.measure()
            if meter.is_blind(phase):
                self._blind.add(name)
            if measured is None:  # the server does not answer: nothing is known of the whole test
                del self._counts[name]
                self._running.discard(name)
            else:
                before = self._counts[name].get(phase, {})
                self._counts[name][phase] = {unit: count + before.get(unit, 0) for unit, count in measured.items()}
        execution = self._recording.execution
        if execution is not None:
            execution.tell().counts[phase] = {
                f"{name}_{unit}": count for name, phases in self._counts.items() for unit, count in phases.get(phase, {}).items()
            }

    def _settle(self, missing: Sequence[str]) -> None:
        deadline = CLOCK.monotonic() + _SETTLE_S
        while any(name == ServiceKind.POSTGRES and not self._is_touched(name) for name in missing):
            if CLOCK.monotonic() > deadline:
                return
            CLOCK.sleep(_PAUSE_S)
            self._measure(Phase.CALL)

    def _totals(self, name: str) -> Mapping[str, int]:
        """Over all phases so far; of a unit that one of them could not measure there is no total."""
        phases = list(self._counts.get(name, {}).values())
        units = [unit for unit in phases[0] if all(unit in counts for counts in phases)] if phases else []
        return {unit: sum(counts[unit] for counts in phases) for unit in units}

    def _is_touched(self, name: str) -> bool:
        if name == ServiceKind.REDIS and self._provisioning.own_servers > self._own_servers:
            return True  # it spoke to a server of its own
        if name not in self._counts or name in self._blind:
            return True
        totals = self._totals(name)
        return totals.get(UNITS[name], 0) > 0 or (name in _TRAFFIC and totals.get("connections", 0) > 0)

    def _accuse(self, item: pytest.Item, missing: Sequence[str]) -> BaseException | None:
        message = "\n".join(_accusation(item, name, self._totals(name)) for name in missing)
        if self._mode is GuardMode.ERROR:
            return NoEvidenceError(message, pytrace=False)
        return _warn(item, message)

    def _note(self, item: pytest.Item, name: str, value: str) -> None:
        item.user_properties[:] = [one for one in item.user_properties if one[0] != name]  # a rerun's is the one that counts
        item.user_properties.append((name, value))
        if self._recording.execution is not None:
            self._recording.execution.tell().properties[name] = value


def _warn(item: pytest.Item, message: str) -> BaseException | None:
    try:
        item.warn(NoEvidenceWarning(message))
    except NoEvidenceWarning as raised:  # the suite's filters turn warnings into errors
        return raised
    return None


def _accusation(item: pytest.Item, name: str, totals: Mapping[str, int]) -> str:
    connections = totals.get("connections", 0)
    stand_in = "" if connections else stand_in_of(item, name)
    why = f"{stand_in} stood in for it" if stand_in else "it was never asked anything by this test"
    if connections:
        why = f"{connections} connection(s) asked nothing that it carried out: was the password given?"
    return f"declared {name}, 0 {UNITS[name]}: the test passed, and {why}"
