"""Imports: what a library does while it is imported is done once for the process, whichever test came to import it first."""

import sys
from types import ModuleType

from ci_tools.pytest_plugin.failures import Project

_MODULE_BODY = "<module>"
_IMPORT_SYSTEM = "importlib._bootstrap"


def is_library_importing(project: Project, depth: int) -> bool:
    """Whether what runs so many frames up is a library's module that is being imported, or was called by one."""
    frame = sys._getframe(depth)  # noqa: SLF001 - documented, and the only way to a frame
    while True:
        code, below = frame.f_code, frame.f_back
        if below is None or project.holds(code.co_filename):
            return False
        if code.co_name == _MODULE_BODY and _IMPORT_SYSTEM in below.f_code.co_filename:
            return True
        frame = below


def module_of(value: object) -> ModuleType | None:
    """The module that defines a function or class, or an object's class."""
    name = getattr(value, "__module__", None) or type(value).__module__
    return sys.modules.get(name) if isinstance(name, str) else None
