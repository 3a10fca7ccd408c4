"""Binaries: the places of the platform that is asked for."""

import sys

from ci_tools.services import binaries_linux, binaries_macos, binaries_windows
from ci_tools.services.places import Places


def places_of(platform: str = sys.platform) -> Places:
    """The places of a platform, as ``sys.platform`` names it; those of Linux for other Unixes."""
    match platform:
        case "win32":
            return binaries_windows.PLACES
        case "darwin":
            return binaries_macos.PLACES
        case _:
            return binaries_linux.PLACES
