"""READ THIS FIRST: the examination, link by link; each is looked at alone, also when one before it is broken."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from ci_tools.doctor.facts import Collected, of_kind
from ci_tools.doctor.findings import Diagnosis, Examined, Link
from ci_tools.doctor.fixtures import examine_fixtures
from ci_tools.doctor.imports import Imports, examine_imports, import_all
from ci_tools.doctor.installation import examine_versions
from ci_tools.doctor.servers import provide_each, wanted
from ci_tools.doctor.settings import Settings, examine_pytest, read_settings
from ci_tools.doctor.setup import examine_setup
from ci_tools.doctor.tree import PATTERNS, Tree, read_tree
from ci_tools.doctor.vacuous import examine_tests
from ci_tools.errors import UsageError

DEFAULT_TIMEOUT_S = 120.0
"""Seconds for each child process: collecting a large suite takes some of them."""


def examine(
    root: Path, environ: Mapping[str, str], *, paths: tuple[str, ...] = (), timeout_s: float = DEFAULT_TIMEOUT_S
) -> Diagnosis:
    """Look at every precondition of a run in ``root``; ``paths`` narrow the suite. No test is run, nothing is left running."""
    root = root.resolve()
    if not root.is_dir():
        raise UsageError(f"project {str(root)!r} is no folder", hint="give --project the folder that holds pyproject.toml")
    settings = read_settings(root, environ)
    chosen = paths or tuple(path for path in settings.config.tests if (root / path.partition("::")[0]).exists())
    arguments = settings.config.pytest_args
    tree = read_tree(root, chosen)
    imports = import_all(root, settings.environ, tree, arguments=arguments, paths=chosen, timeout_s=timeout_s)
    tree = _as_pytest_sees_it(root, chosen, tree, imports)
    before = (
        examine_versions(root, imports.configured),
        settings.examined,
        examine_pytest(imports.configured, environ, has_coroutines=tree.has_coroutines, tail=imports.tail),
        examine_imports(imports),
        examine_fixtures(imports, tree),
    )
    return Diagnosis(links=(*before, *_running(root, settings, imports, chosen, timeout_s), examine_tests(tree)))


def _as_pytest_sees_it(root: Path, chosen: tuple[str, ...], tree: Tree, imports: Imports) -> Tree:
    """The tree by the project's own `testpaths` and `python_files`, once pytest has told them."""
    ini = imports.configured.ini if imports.configured is not None else {}
    paths = chosen or tuple(path for path in ini.get("testpaths", ()) if (root / path).exists())
    patterns = ini.get("python_files", PATTERNS)
    return tree if (paths, patterns) == (chosen, PATTERNS) else read_tree(root, paths, patterns)


def _running(
    root: Path, settings: Settings, imports: Imports, paths: tuple[str, ...], timeout_s: float
) -> tuple[Examined, Examined]:
    """The services, and on them the fixtures: both while the services run."""
    collected = of_kind(Collected, imports.facts)
    specs = wanted(settings.config.services, collected[-1].services if collected else ())
    with ExitStack() as stack:
        servers = provide_each(specs, settings.environ, stack)
        if servers.examined.findings and any(not finding.is_hint for finding in servers.examined.findings):
            return servers.examined, Examined(link=Link.SETUP, unknown="a service is missing")
        if not imports.is_complete or not collected:
            return servers.examined, Examined(link=Link.SETUP, unknown="the suite cannot be collected")
        environ = {**settings.environ, **servers.environment}
        quiet = imports.configured.quiet if imports.configured is not None else ()
        arguments = [*settings.config.pytest_args, *quiet]
        return servers.examined, examine_setup(root, environ, arguments=arguments, paths=paths, timeout_s=timeout_s)
