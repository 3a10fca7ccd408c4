"""Selection: keep the tests of this shard, refuse a plan that does not fit, or only say what there is."""

from collections import defaultdict
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from ci_tools.model.codec import dumps
from ci_tools.model.journal import SelectionRefused
from ci_tools.model.shard import digest_of
from ci_tools.model.worker import Collected, WorkerOrder
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.journal import Journal
from ci_tools.pytest_plugin.marks import SERVICE, has_mark
from ci_tools.pytest_plugin.position import groups_of, test_id_of
from ci_tools.pytest_plugin.seed import seed_of
from ci_tools.pytest_plugin.sessionwide import keys_of

REFUSED_KEY = "ci_tools_refused"
"""In a pytest-xdist worker's ``workeroutput``: why it refused."""

_SHOWN = 10
_OF_FIXTURES = {
    "redis_endpoint": "redis",
    "redis_url": "redis",
    "redis_server": "redis",
    "postgres_endpoint": "postgres",
    "postgres_url": "postgres",
}
"""The service of each of the plugin's own fixtures."""


class Selection:
    """Leaves the tests that the order names, once every other plugin has reordered and deselected."""

    def __init__(self, order: WorkerOrder, journal: Journal | None) -> None:
        self._order = order
        self._journal = journal
        self._broken: set[str] = set()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note broken files: what they hold is unknown, so no digest can be asked of them."""
        if report.failed:
            self._broken.add(report.nodeid.split("::", 1)[0])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None]:
        """Around all other plugins, so that their deselection counts: keep this shard's tests or refuse."""
        _join(items)
        yield
        if self._order.sequence:  # whatever a plugin or a conftest.py made of it
            place = {test_id: number for number, test_id in enumerate(self._order.sequence)}
            items.sort(key=lambda item: place.get(test_id_of(item), len(place)))
        missing, unexpected = self._compare(items)
        if missing or unexpected:
            self._refuse(session, config, items, missing, unexpected)
            return
        wanted = {test_id for file in self._order.files or () for test_id in file.test_ids} - set(self._order.finished)
        kept = [item for item in items if test_id_of(item) in wanted]
        left_out = [item for item in items if test_id_of(item) not in wanted]
        items[:] = kept
        if left_out:
            config.hook.pytest_deselected(items=left_out)

    def _compare(self, items: Sequence[pytest.Item]) -> tuple[list[str], list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for item in items:
            test_id = test_id_of(item)
            found[_path_of(test_id)].append(test_id)
        missing: list[str] = []
        unexpected: list[str] = []
        for file in self._order.files or ():
            if file.path in self._broken or digest_of(found[file.path]) == file.expected_digest:
                continue
            absent = sorted(set(file.test_ids) - set(found[file.path]))
            missing += absent
            # A file that is cut has tests of other shards too: they are named only where nothing is missing.
            if not absent and not self._order.sequence:
                unexpected += sorted(set(found[file.path]) - set(file.test_ids)) or [file.path]
        return missing, unexpected

    def _refuse(
        self,
        session: pytest.Session,
        config: pytest.Config,
        items: list[pytest.Item],
        missing: Sequence[str],
        unexpected: Sequence[str],
    ) -> None:
        message = _refusal(self._order, missing, unexpected)
        if self._journal is not None:
            self._journal.write(
                SelectionRefused(at=CLOCK.time(), message=message, missing=tuple(missing), unexpected=tuple(unexpected))
            )
        workeroutput = getattr(config, "workeroutput", None)
        if workeroutput is None:
            raise pytest.UsageError(message)
        # An exception here would look like a crash to pytest-xdist's controller, which starts a new worker for each.
        items.clear()
        workeroutput[REFUSED_KEY] = message
        session.shouldstop = message.splitlines()[0]


class Listing:
    """Writes down what was collected and runs nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began = CLOCK.perf_counter()
        self._broken: dict[str, str] = {}
        self._collected: Collected | None = None
        self._seed = 0

    def pytest_collection(self, session: pytest.Session) -> None:
        """Note what the tests are shuffled by."""
        self._seed = seed_of(session.config)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep each broken file's error."""
        if report.failed:
            self._broken[report.nodeid or "."] = report.longreprtext

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None]:
        """Around all other plugins: what is left now is what would run."""
        _join(items)
        yield
        self._write(items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool:
        """Run nothing."""
        if self._collected is None:  # pytest asks nobody to modify an empty list
            self._write([])
        return True

    def _write(self, items: Sequence[pytest.Item]) -> None:
        from ci_tools.host.files import write_text  # noqa: PLC0415 - needed by this mode only

        paths: dict[str, list[str]] = defaultdict(list)
        groups: dict[str, str] = {}
        services: dict[str, tuple[str, ...]] = {}
        fixtures: dict[str, tuple[str, ...]] = {}
        for item in items:
            test_id = test_id_of(item)
            paths[_path_of(test_id)].append(test_id)
            names = groups_of(item)
            if names:
                groups[test_id] = "_".join(sorted(names))
            needed = needs_of(item)
            if needed:
                services[test_id] = needed
            wide = keys_of(item)
            if wide:
                fixtures[test_id] = wide
        self._collected = Collected(
            test_ids=tuple(test_id_of(item) for item in items),
            paths={path: tuple(test_ids) for path, test_ids in paths.items()},
            broken=self._broken,
            groups=groups,
            services=services,
            fixtures=fixtures,
            duration_s=CLOCK.perf_counter() - self._began,
            seed=self._seed,
        )
        write_text(self._path, dumps(self._collected))


def services_of(item: pytest.Item) -> tuple[str, ...]:
    """The services that the test's ``service`` marks declare, sorted."""
    if not has_mark(item, SERVICE):
        return ()
    return tuple(sorted({str(name) for mark in item.iter_markers(SERVICE) for name in mark.args}))


def needs_of(item: pytest.Item) -> tuple[str, ...]:
    """What must run for the test: the services that it declares, and those whose fixtures it asks for, itself or through others.

    A ``database`` may be PostgreSQL, so where a configuration has that service it is needed.
    """
    names = set(services_of(item))
    if "database" in names:
        names.add("postgres")
    names |= {_OF_FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in _OF_FIXTURES}
    return tuple(sorted(names))


def _join(items: Sequence[pytest.Item]) -> None:
    """Our mark becomes pytest-xdist's, so that plan and distribution have one word for it."""
    for item in items:
        for mark in item.iter_markers("together"):
            if len(mark.args) != 1 or mark.kwargs:
                what = f"together{mark.args!r} {mark.kwargs!r} of {item.nodeid} is not understood"
                raise pytest.UsageError(f'{what}; write together("name")')
            item.add_marker(pytest.mark.xdist_group(str(mark.args[0])))


def _path_of(test_id: str) -> str:
    return test_id.split("::", 1)[0]


def _refusal(order: WorkerOrder, missing: Sequence[str], unexpected: Sequence[str]) -> str:
    counts = f"{len(missing)} planned test(s) not collected, {len(unexpected)} collected that it does not know"
    lines = [
        f"shard {order.shard} refuses its plan: {counts}; nothing was run",
        *(f"  not collected: {test_id}" for test_id in missing[:_SHOWN]),
        *(f"  not planned:   {test_id}" for test_id in unexpected[:_SHOWN]),
        "  hint: the plan was made from another commit, another configuration or other options: make it again",
    ]
    return "\n".join(lines)
