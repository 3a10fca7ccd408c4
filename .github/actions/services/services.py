"""Brings one service up with ci-tools and tells the job where it answers; ``actions/setup`` has installed ci-tools before."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ci_tools.errors import CIToolsError, UsageError
from ci_tools.host import github
from ci_tools.model.codec import to_json
from ci_tools.model.service import ServiceKind
from ci_tools.pipeline import standing as verbs
from ci_tools.pipeline.project import open_project
from ci_tools.services import standing

CONTAINERS = {
    ServiceKind.REDIS: ("CI_TOOLS_REDIS_URL", "redis://127.0.0.1:{port}/0"),
    ServiceKind.POSTGRES: ("CI_TOOLS_POSTGRES_URL", "postgresql://postgres:postgres@127.0.0.1:{port}/postgres"),
}
"""How a service container of the job is named to ci-tools; for PostgreSQL with the image's usual user."""


def main(environ: Mapping[str, str]) -> int:
    """Start or adopt the service, set the job's environment and this step's outputs; the exit code of what went wrong."""
    try:
        kind = _kind(environ.get("INPUT_NAME", ""))
        root = Path(environ.get("INPUT_PROJECT") or ".")
        adopted = dict(environ)
        if port := environ.get("INPUT_SERVICE_PORT", ""):
            variable, template = CONTAINERS[kind]
            adopted[variable] = template.format(port=port)
        request = verbs.ServicesRequest(root=root, environ=adopted, kinds=(kind,))
        _say(verbs.up(request))
        _say(verbs.env(request, standing.Shell.GITHUB))
        folder = open_project(root, adopted).artifacts / "services"
        (one,) = (found for found in standing.status(folder) if found.endpoint.kind == kind)
    except CIToolsError as error:
        sys.stderr.write(f"error: {error}\n")
        return int(error.exit_code)
    endpoint = one.endpoint
    github.set_outputs(
        environ,
        {
            "url": endpoint.url,
            "port": str(endpoint.port),
            "version": endpoint.provenance.version,
            "provider": endpoint.provenance.provider.value,
            "provenance": json.dumps(to_json(endpoint.provenance)),
            "log": str(one.log or ""),
        },
    )
    return 0


def _kind(name: str) -> ServiceKind:
    try:
        return ServiceKind(name)
    except ValueError as error:
        raise UsageError(f"the input name is {name!r}, expected {' or '.join(ServiceKind)}") from error


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(os.environ))
