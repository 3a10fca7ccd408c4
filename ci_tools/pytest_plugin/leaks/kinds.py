"""The kinds of leaks: which guard looks for which."""

from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks import descriptors, environment, processes, tasks, threads
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.opened import CONNECTION
from ci_tools.pytest_plugin.ownership import Ownership

KINDS = (tasks.KIND, threads.KIND, processes.KIND, *descriptors.KINDS, environment.KIND)
"""Every kind that ``[tool.ci-tools.guards] leaks`` may name."""


def leak_guards(ownership: Ownership, findings: Findings, project: Project) -> tuple[Guard, ...]:
    """The guards of the kinds that are on, installed. Asked in reverse: a task may hold a thread, and that a child."""
    guards: list[Guard] = []
    if findings.is_on(environment.KIND):
        guards.append(state := environment.EnvironmentGuard(ownership, findings, project))
        state.install()
    if any(findings.is_on(kind) for kind in descriptors.KINDS):
        guards.append(opened := descriptors.DescriptorGuard(ownership, findings, project))
        opened.install()
    if findings.is_on(processes.KIND):
        guards.append(children := processes.ProcessGuard(ownership, findings, project))
        children.install()
    if findings.is_on(threads.KIND):
        guards.append(running := threads.ThreadGuard(ownership, findings, project))
        running.install()
    if findings.is_on(tasks.KIND):
        guards.append(tasks.TaskGuard(ownership, findings, project))
    if findings.is_on(CONNECTION):
        guards.append(descriptors.LoopGuard(opened))
    return tuple(guards)
