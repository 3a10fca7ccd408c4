# /// script
# dependencies = ["nox>=2025.2.9", "ci-tools"]
# ///
"""The one door to the checks of this project: `nox -s integration`."""

import nox

from ci_tools import nox_sessions

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"


@nox.session
def integration(session: nox.Session) -> None:
    """Real services, every integration test, one verdict. Arguments go to `ci-tools run`."""
    nox_sessions.integration(session, toolkit="ci-tools[redis,postgres]", packages=("-e", ".[postgres]", "--group", "test"))


if __name__ == "__main__":
    nox.main()
