"""The probe: a pytest plugin of the doctor's child. It says what pytest sees, as facts, and runs no test."""

import builtins
import contextlib
import difflib
import linecache
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import pytest

from ci_tools.doctor import facts
from ci_tools.model.codec import loads

_INI = (
    "asyncio_mode",
    "asyncio_default_fixture_loop_scope",
    "asyncio_default_test_loop_scope",
    "filterwarnings",
    "testpaths",
    "python_files",
)
_TO_BE_SET = ("asyncio_default_fixture_loop_scope", "asyncio_default_test_loop_scope")
_NOT_OURS = (
    f"{os.sep}_pytest{os.sep}",
    f"{os.sep}pluggy{os.sep}",
    f"{os.sep}importlib{os.sep}",
    f"{os.sep}ci_tools{os.sep}doctor",
)
_NEAR = 3


def pytest_configure(config: pytest.Config) -> None:
    """Register what answers the question, and say how pytest is configured."""
    path = os.environ.pop(facts.QUESTION_VARIABLE, "")
    if path:
        probe = _Probe(loads(facts.Question, Path(path).read_text(encoding="utf-8"), where=path))
        config.pluginmanager.register(probe, "ci-tools-doctor")
        config.add_cleanup(probe.close)
        probe.say(_configured(config))


class _Probe:
    def __init__(self, question: facts.Question) -> None:
        self._question = question
        self._root = Path(question.root)
        self._output: IO[str] = Path(question.answers).open("a", encoding="utf-8")  # noqa: SIM115 - closed with the session
        self._import = builtins.__import__
        builtins.__import__ = _watched(self._import, self._hidden)  # type: ignore[assignment] # the same arguments, named alike
        self._swallowed: dict[tuple[str, int], facts.ImportHidden] = {}
        self._importing = ""

    def close(self) -> None:
        """Write what was swallowed and give ``__import__`` back."""
        builtins.__import__ = self._import
        for fact in self._swallowed.values():
            self.say(fact)
        self.say(facts.Closed())
        self._output.close()

    def say(self, fact: facts.Fact) -> None:
        """One line, flushed: it is there also when the next import ends the process."""
        self._output.write(facts.render_fact(fact) + "\n")
        self._output.flush()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool | None:
        """Import the modules of the question, each alone; True tells pytest that there is nothing more to collect."""
        for name in self._question.modules:
            module = pytest.Module.from_parent(session, path=Path(name))
            if Path(name).name == "conftest.py":
                sys.modules.pop("conftest", None)  # those of different folders share the name, and pytest itself keeps them apart
            self._begin(Path(name))
            try:
                module.obj  # noqa: B018 - reading it imports the module as pytest would
            except BaseException as error:  # noqa: BLE001 - a module may raise anything, SystemExit included; it becomes a fact
                self._failed(Path(name), error)
        return None if self._question.collects else True

    @pytest.hookimpl(tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> None:
        """Note which module is imported next."""
        if isinstance(collector, pytest.Module):
            self._begin(collector.path)

    def pytest_exception_interact(self, node: pytest.Item | pytest.Collector, call: pytest.CallInfo[object]) -> None:
        """A module that could not be collected."""
        if isinstance(node, pytest.Collector) and call.excinfo is not None:
            self._failed(node.path, call.excinfo.value)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep one test for each set of fixtures, where fixtures are to be set up."""
        if self._question.most_setups:
            chosen = {frozenset(getattr(item, "fixturenames", ())): item for item in reversed(items)}
            kept = {id(item) for item in chosen.values()}
            items[:] = [item for item in items if id(item) in kept][: self._question.most_setups]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say what was collected, and which fixtures nobody defines."""
        self._importing = ""
        services: dict[str, None] = {}
        infos = [getattr(item, "_fixtureinfo", None) for item in session.items]
        defined = {name for info in infos if info is not None for name in info.name2fixturedefs}
        for item in session.items:
            for mark in item.iter_markers("service"):
                services.update(dict.fromkeys(str(name) for name in mark.args))
            for fact in _undefined(item, defined):
                self.say(fact)
        self.say(facts.Collected(tests=len(session.items), services=tuple(services)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool | None:
        """No test is run. ``--collect-only`` would say the same, but plugins then leave out fixtures that they define."""
        return None if self._question.most_setups else True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """A fixture that raises: what it needs was set up before, so the fault is its own."""
        try:
            return (yield)
        except (pytest.skip.Exception, pytest.FixtureLookupError):
            raise
        except Exception as error:
            code = fixturedef.func.__code__ if hasattr(fixturedef.func, "__code__") else None
            where = f"{self._shown(code.co_filename)}:{code.co_firstlineno}" if code else fixturedef.baseid
            message = _message(error)
            chain = self._chain(error.__traceback__)
            self.say(
                facts.FixtureFailed(
                    test_id=request.node.nodeid, name=fixturedef.argname, where=where, message=message, chain=chain[-_NEAR:]
                )
            )
            raise

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Say that the set-up run came to its end."""
        if self._question.most_setups:
            self.say(facts.SetUp(tests=len(session.items)))

    def _begin(self, path: Path) -> None:
        self._importing = self._shown(str(path))
        self.say(facts.ImportStarted(path=self._importing))

    def _failed(self, path: Path, raised: BaseException) -> None:
        error: BaseException = raised
        while isinstance(error, pytest.Collector.CollectError) and error.__cause__ is not None:
            error = error.__cause__
        chain = self._chain(error.__traceback__)
        if isinstance(error, SyntaxError) and error.filename:
            chain = (*chain, f"{self._shown(error.filename)}:{error.lineno}: {(error.text or '').strip()}")
        told = facts.ImportFailed(
            path=self._shown(str(path)),
            kind=type(error).__name__,
            message=_message(error),
            chain=chain,
            missing=getattr(error, "name", None) or "" if isinstance(error, ImportError) else "",
        )
        self.say(told)
        for place in [place for place in self._swallowed if any(line.startswith(f"{place[0]}:{place[1]}:") for line in chain)]:
            del self._swallowed[place]

    def _hidden(self, file: str, line: int, name: str, names: Sequence[str], error: ImportError) -> None:
        """An import raised. It stays here unless the module that asked for it turns out to be broken."""
        missing = (error.name or name).partition(".")[0]
        is_own = any(
            (self._root / base / missing).exists() or (self._root / base / f"{missing}.py").is_file() for base in _bases()
        )
        is_star = "*" in names
        if self._is_project(file) and (is_star or is_own):
            shown = self._shown(file)
            fact = facts.ImportHidden(path=shown, line=line, name=name, message=_message(error), is_star=is_star)
            self._swallowed[(shown, line)] = fact

    def _is_project(self, file: str) -> bool:
        path = Path(file)
        return path.is_relative_to(self._root) and "site-packages" not in path.parts

    def _chain(self, trace: TracebackType | None) -> tuple[str, ...]:
        chain = []
        while trace is not None:
            file, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
            if not file.startswith("<") and not any(part in file for part in _NOT_OURS):
                chain.append(f"{self._shown(file)}:{line}: {linecache.getline(file, line).strip()}")
            trace = trace.tb_next
        return tuple(chain)

    def _shown(self, file: str) -> str:
        path = Path(file)
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else file


def _watched(
    original: Callable[..., object], tell: Callable[[str, int, str, Sequence[str], ImportError], None]
) -> Callable[..., object]:
    """``__import__`` that tells which file's import raised an ImportError, whoever swallows it afterwards."""

    def watch(name: str, globals: object = None, locals: object = None, fromlist: Sequence[str] = (), level: int = 0) -> object:  # noqa: A002 - the names that Python calls it by
        try:
            return original(name, globals, locals, fromlist, level)
        except ImportError as error:
            frame = sys._getframe(1)  # noqa: SLF001 - the one way to learn who imports
            tell(frame.f_code.co_filename, frame.f_lineno, name, tuple(fromlist or ()), error)
            raise

    return watch


def _bases() -> tuple[str, ...]:
    return (".", "src", "tests")


def _configured(config: pytest.Config) -> facts.Configured:
    ini = {}
    written = getattr(config, "_inicfg", _TO_BE_SET)  # what stands in the file: getini would give a plugin's default as well
    for name in _INI:
        with contextlib.suppress(ValueError, KeyError):
            value = config.getini(name) if name not in _TO_BE_SET or name in written else ""
            ini[name] = tuple(str(one) for one in value) if isinstance(value, (list, tuple)) else (str(value),) if value else ()
    names = tuple(sorted({f"{dist.metadata['Name']} {dist.version}" for _, dist in config.pluginmanager.list_plugin_distinfo()}))
    return facts.Configured(
        version=pytest.__version__,
        plugins=names,
        ini=ini,
        addopts=tuple(str(one) for one in config.getini("addopts")),
        inipath=str(config.inipath or ""),
        is_active=config.pluginmanager.has_plugin("ci_tools"),
    )


def _undefined(item: pytest.Item, defined: set[str]) -> Generator[facts.FixtureUndefined, None, None]:
    """What pytest itself worked out for the test: names in its closure that have no definition."""
    info = getattr(item, "_fixtureinfo", None)
    if info is None:
        return
    given = set(getattr(getattr(item, "callspec", None), "params", ())) | {"request"}
    known = info.name2fixturedefs
    for name in info.names_closure:
        if name not in known and name not in given:
            askers = [asker for asker, definitions in known.items() if definitions and name in definitions[-1].argnames]
            near = tuple(difflib.get_close_matches(name, sorted({*defined, *known}), n=_NEAR))
            yield facts.FixtureUndefined(test_id=item.nodeid, name=name, asked_by=askers[0] if askers else "", near=near)


def _message(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
