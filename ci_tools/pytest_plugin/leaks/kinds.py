"""The kinds of leaks: which guard looks for which."""

from collections.abc import Callable

from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks import (
    assigned,
    coroutines,
    environment,
    exceptions,
    loops,
    patches,
    processes,
    tasks,
    temporary,
    threads,
)
from ci_tools.pytest_plugin.leaks.descriptors import KINDS as OPENED_KINDS
from ci_tools.pytest_plugin.leaks.descriptors import DescriptorGuard, LoopGuard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.opened import CONNECTION
from ci_tools.pytest_plugin.ownership import Ownership


def leak_guards(ownership: Ownership, findings: Findings, project: Project) -> tuple[Guard, ...]:
    """The guards of the kinds that are on, installed.

    Asked in reverse: a connection may hold a task, a task a thread, that a child, and the child its pipes.
    """
    given = (ownership, findings, project)
    state = environment.EnvironmentGuard(*given)
    patched = patches.PatchGuard(*given)
    files = temporary.TemporaryGuard(*given)
    opened = DescriptorGuard(*given)
    children = processes.ProcessGuard(*given)
    running = threads.ThreadGuard(*given)
    waiting = coroutines.CoroutineGuard(*given)
    unseen = exceptions.ExceptionGuard(*given)
    all_guards: tuple[tuple[tuple[str, ...], Guard, Callable[[], None] | None], ...] = (
        ((environment.KIND, environment.SEED), state, state.install),
        ((patches.KIND,), patched, patched.install),
        ((assigned.KIND,), assigned.AssignmentGuard(*given), None),
        (temporary.KINDS, files, files.install),
        (OPENED_KINDS, opened, opened.install),
        ((processes.KIND,), children, children.install),
        ((threads.KIND,), running, running.install),
        ((loops.KIND,), loops.LoopLeakGuard(*given), None),
        ((tasks.KIND,), tasks.TaskGuard(*given), None),
        (coroutines.KINDS, waiting, waiting.install),
        ((exceptions.KIND,), unseen, unseen.install),
        ((CONNECTION,), LoopGuard(opened), None),
    )
    # Children are always noted: those of a test that hangs end with it.
    on = [
        (guard, install)
        for kinds, guard, install in all_guards
        if guard is children or any(findings.is_on(kind) for kind in kinds)
    ]
    for _, install in on:
        if install is not None:
            install()
    return tuple(guard for guard, _ in on)
