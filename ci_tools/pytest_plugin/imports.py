"""Imports: what a library does while it is imported is done once for the process, whichever test came to import it first."""

import os
import sys
from types import FrameType, ModuleType

from ci_tools.pytest_plugin.failures import Project

MODULE_BODY = "<module>"
"""The name of the code of a module."""
_IMPORT_SYSTEM = "importlib._bootstrap"
_PYTEST = f"{os.sep}_pytest{os.sep}"
"""Below it there are thirty frames of pytest's own, and no import."""


def is_library_importing(project: Project, depth: int) -> bool:
    """Whether what runs so many frames up is a library's module that is being imported, or was called by one."""
    frame = sys._getframe(depth)  # noqa: SLF001 - documented, and the only way to a frame
    while True:
        code, below = frame.f_code, frame.f_back
        if below is None or project.holds(code.co_filename) or _PYTEST in code.co_filename:
            return False
        if code.co_name == MODULE_BODY and is_imported(frame):
            return True
        frame = below


def is_imported(body: FrameType) -> bool:
    """Whether a module's body runs because it is imported, and not as a program."""
    return body.f_back is not None and _IMPORT_SYSTEM in body.f_back.f_code.co_filename


def module_of(value: object) -> ModuleType | None:
    """The module that defines a function or class, or an object's class."""
    name = getattr(value, "__module__", None) or type(value).__module__
    return sys.modules.get(name) if isinstance(name, str) else None
