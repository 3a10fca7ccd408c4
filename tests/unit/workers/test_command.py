import pytest

from ci_tools.errors import UsageError
from ci_tools.model.shard import digest_of
from ci_tools.model.worker import ORDER_VARIABLE, FileOrder, WorkerOrder
from ci_tools.workers.command import WorkerCommand, command, order_name, paths_of, selecting


def build(**more: object) -> WorkerCommand:
    """The command of an order at /o/order-1-of-1-1.json for Python ``py``."""
    return command("/o/order-1-of-1-1.json", python="py", **more)  # type: ignore[arg-type]


def order(*finished: str, generation: int = 1) -> WorkerOrder:
    """An order of two files and a broken one."""
    files = (("a.py", ("a.py::x", "a.py::y")), ("b.py", ("b.py::z",)), ("broken.py", ()))
    return WorkerOrder(
        run_id="r",
        journal_dir="/j",
        shard="2/4",
        generation=generation,
        finished=finished,
        files=tuple(FileOrder(path=path, expected_digest=digest_of(ids), test_ids=ids) for path, ids in files),
    )


def test_the_users_root_wins() -> None:
    """A root folder that the user names is not replaced."""
    assert "--rootdir=." not in build(pytest_args=("--rootdir", "tests")).argv
    assert "--rootdir=." not in build(addopts="--rootdir=tests").argv


def test_options_that_cannot_be_split_are_a_usage_error() -> None:
    """A quotation mark that is not closed is said, with where it stands."""
    with pytest.raises(UsageError, match="PYTEST_ADDOPTS is"):
        build(environ={"PYTEST_ADDOPTS": "-k 'a"})


def test_plain() -> None:
    """One process: pytest with the files as arguments, nothing of pytest-xdist."""
    assert build(paths=("a.py", "b.py"), pytest_args=("-q",)).argv == (
        "py",
        "-m",
        "pytest",
        "-p",
        "no:valkey",
        "--rootdir=.",
        "--continue-on-collection-errors",
        "-q",
        "a.py",
        "b.py",
    )


def test_processes_are_pytest_xdist_workers() -> None:
    """Two processes: pytest-xdist with work stealing and restarts enough for every test."""
    argv = build(processes=2, tests=50).argv
    assert argv[6:11] == ("-n", "2", "--dist", "worksteal", "--max-worker-restart=50")


def test_never_more_processes_than_tests() -> None:
    """One test needs one process, three need three of eight."""
    assert "-n" not in build(processes=8, tests=1).argv
    assert build(processes=8, tests=3).argv[6:8] == ("-n", "3")


@pytest.mark.parametrize(
    "chosen", [("-n", "4"), ("-n4",), ("--numprocesses=auto",), ("--dist", "loadfile"), ("--dist=no",), ("-d",)]
)
def test_the_users_choice_wins(chosen: tuple[str, ...]) -> None:
    """Who chose a number of processes or a distribution gets it, wherever it was said."""
    for command_ in (
        build(processes=2, pytest_args=chosen),
        build(processes=2, addopts=chosen),
        build(processes=2, addopts=" ".join(chosen)),
        build(processes=2, environ={"PYTEST_ADDOPTS": " ".join(chosen)}),
    ):
        assert not any(argument.startswith("--max-worker-restart") for argument in command_.argv)


@pytest.mark.parametrize("off", [("-p", "no:xdist"), ("-pno:xdist",)])
def test_no_pytest_xdist_where_it_is_switched_off(off: tuple[str, ...]) -> None:
    """Without pytest-xdist its options would be a usage error."""
    assert "-n" not in build(processes=2, pytest_args=off).argv


def test_without_autoload_plugins_are_named() -> None:
    """Where plugins are not loaded by themselves, ours and pytest-xdist are named."""
    for command_ in (
        build(processes=2, environ={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
        build(processes=2, pytest_args=("--disable-plugin-autoload",)),
    ):
        argv = command_.argv
        assert argv[5:10] == ("-p", "ci_tools", "--rootdir=.", "-p", "xdist")


def test_environment() -> None:
    """Variables of another pytest process and PYTHONOPTIMIZE go, what people set stays, the order is named."""
    environ = {
        "PATH": "/bin",
        "PYTHONOPTIMIZE": "2",
        "PYTEST_CURRENT_TEST": "x",
        "PYTEST_VERSION": "9",
        "PYTEST_XDIST_WORKER": "gw0",
        "PYTEST_XDIST_TESTRUNUID": "u",
        "PYTEST_ADDOPTS": "-q",
        "PYTEST_PLUGINS": "mine",
        ORDER_VARIABLE: "/another",
    }
    assert build(environ=environ).env == {
        "PATH": "/bin",
        "PYTEST_ADDOPTS": "-q",
        "PYTEST_PLUGINS": "mine",
        "PYTHONUNBUFFERED": "1",
        ORDER_VARIABLE: "/o/order-1-of-1-1.json",
    }


def test_many_files_go_into_a_file() -> None:
    """A long list of files becomes an argument file beside the order, one path a line."""
    paths = tuple(f"tests/unit/test_{n}.py" for n in range(1000))
    made = build(paths=paths)
    assert made.argv[-1] == "@/o/order-1-of-1-1.args"
    assert made.argument_path == "/o/order-1-of-1-1.args"
    assert list(paths) == made.argument_text.splitlines()


@pytest.mark.parametrize(
    "argument", ["-x", "-vx", "--exitfirst", "--maxfail=1", "--maxfail", "--sw", "--stepwise", "--stepwise-skip"]
)
def test_stopping_early_is_seen(argument: str) -> None:
    """Whoever asks pytest to stop early is not to get a second generation for the rest."""
    assert build(pytest_args=(argument,)).stops_early
    assert build(addopts=(argument,)).stops_early


def test_running_everything_is_no_stopping_early() -> None:
    """Ordinary options do not stop a session early."""
    assert not build(pytest_args=("-q", "-k", "x", "--tb=short", "-ra")).stops_early


def test_order_name() -> None:
    """An order's file is named after its shard and generation."""
    assert order_name(order(generation=3)) == "order-2-of-4-3.json"


def test_paths_of_an_order() -> None:
    """Files with something left, and a broken file in the first generation only."""
    assert paths_of(order()) == ("a.py", "b.py", "broken.py")
    assert paths_of(order("b.py::z", "a.py::x", generation=2)) == ("a.py",)
    assert paths_of(order("a.py::x", "a.py::y", "b.py::z", generation=2)) == ()


def test_paths_of_an_order_for_everything() -> None:
    """Where nothing was selected there are no files to pass."""
    assert paths_of(WorkerOrder(run_id="r", journal_dir="/j")) is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-k", "fast", "-v"), ("-k fast",)),
        (("-kfast", "-mnot slow", "-x"), ("-k fast", "-m not slow")),
        (("--deselect=a.py::x", "--deselect", "b.py"), ("--deselect a.py::x", "--deselect b.py")),
        (("--lf", "tests", "--durations=3"), ("--lf",)),
        (("tests", "-k"), ("-k ",)),
        ((), ()),
    ],
)
def test_what_selects_tests(arguments: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """Options that decide which tests there are, however they are written; nothing that only says how they run."""
    assert expected == selecting(arguments)


@pytest.mark.parametrize(("addopts", "alone"), [("", True), ("-p no:xdist", False), ("-n 4", True)])
def test_a_collector_distributes_nothing(addopts: str, *, alone: bool) -> None:
    """``-n 0`` stands last, unless pytest-xdist is switched off and would not know it."""
    argv = command("o.json", python="python", addopts=addopts, pytest_args=("-n", "2") if alone else (), is_alone=True).argv
    assert (argv[-2:] == ("-n", "0")) == alone
