"""``python -m agent_platform``: exit code 78 for a configuration that may not start, 3 for a start-up that failed."""

import argparse
import logging
import os
import sys
from pathlib import Path

from agent_platform.app import create_app
from agent_platform.errors import ConfigError, StartupError
from agent_platform.server import PlatformServer
from agent_platform.settings import Settings

EXIT_CONFIG = 78
EXIT_STARTUP = 3
EXIT_INTERRUPTED = 130


def main() -> None:
    """Read the environment, serve until told to stop."""
    parser = argparse.ArgumentParser(prog="agent_platform", description="The reference agent platform.")
    parser.add_argument("--env-file", type=Path, help="KEY=value lines; the real environment wins")
    arguments = parser.parse_args()
    try:
        settings = Settings.load(os.environ, arguments.env_file)
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_CONFIG)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        PlatformServer(create_app(settings), host=settings.host, port=settings.port).run()
    except StartupError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_STARTUP)
    except KeyboardInterrupt:  # uvicorn has stopped in order and raises the signal again
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
