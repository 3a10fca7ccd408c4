"""The verbs ``services …``: services that stand between commands, for a developer's shell or a job's later steps."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_tools.doctor.chain import ask_chains, render_chains
from ci_tools.errors import CIToolsError, ExitCode, ServiceError, UsageError
from ci_tools.host import github
from ci_tools.host.runs import prepare_artifacts
from ci_tools.host.signals import Interrupted, interruptible
from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.pipeline.console import introduce
from ci_tools.pipeline.project import Project, open_project
from ci_tools.services import leftovers, readiness, standing
from ci_tools.services.provision import provide

_FOLLOW_S = 0.2
_ROOM_BYTES = 1 << 16  # what keepers write, with a log's first lines


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesRequest:
    """What ``ci-tools services`` was asked for; no ``kinds`` means all that the project declares."""

    root: Path
    environ: Mapping[str, str]
    kinds: tuple[ServiceKind, ...] = ()


def up(request: ServicesRequest) -> str:
    """Start what does not stand yet; where each service answers and where it came from."""
    project = open_project(request.root, request.environ)
    started = standing.up(_specs(project, request.kinds), environ=project.environ, folder=_folder(project))
    return "\n".join(_explain(one, "started" if one.is_new else "stands already") for one in started)


def follow(request: ServicesRequest) -> int:
    """Start the services for as long as this command runs and show what they log; Ctrl-C ends them."""
    project = open_project(request.root, request.environ)
    folder = _folder(project) / "foreground"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.log"):
        old.unlink()
    seen: dict[Path, int] = {}

    def show() -> None:
        for path in sorted(folder.glob("*.log")):
            with path.open("rb") as stream:
                stream.seek(seen.get(path, 0))
                data = stream.read()
                seen[path] = stream.tell()
            sys.stdout.write(data.decode("utf-8", "replace"))
            sys.stdout.flush()

    with interruptible() as interruption:
        try:
            with provide(_specs(project, request.kinds), environ=project.environ, folder=folder) as provision:
                for provenance in provision.provenances:
                    sys.stdout.write(f"{introduce(provenance)}\n")
                while not interruption.wait(_FOLLOW_S):
                    show()
        except Interrupted:
            show()
            return int(ExitCode.PASSED)
        except CIToolsError:
            show()
            raise
    return int(ExitCode.PASSED)


def down(request: ServicesRequest) -> str:
    """Stop what was started here; a server that is not ours goes on."""
    project = open_project(request.root, request.environ)
    ended = standing.down(_folder(project), request.kinds)
    return "\n".join(_describe(one, "stopped") for one in ended) or "nothing stands here"


def status(request: ServicesRequest) -> tuple[str, bool]:
    """What stands, and whether all of it is ready; nothing at all is not ready."""
    project = open_project(request.root, request.environ)
    found = [one for one in standing.status(_folder(project)) if not request.kinds or one.endpoint.kind in request.kinds]
    told = "\n".join(_describe(one, "ready" if one.is_ready else "does not answer") for one in found)
    return told or "nothing stands here", bool(found) and all(one.is_ready for one in found)


def env(request: ServicesRequest, shell: str) -> str:
    """Lines that put the endpoints into an environment; ``github`` writes them into ``$GITHUB_ENV`` and says so."""
    project = open_project(request.root, request.environ)
    found = [one for one in standing.status(_folder(project)) if not request.kinds or one.endpoint.kind in request.kinds]
    if not found:
        raise UsageError("no service stands here", hint="`ci-tools services up` starts it")
    if shell == standing.Shell.GITHUB and request.environ.get("GITHUB_ENV"):
        variables = {name: value for one in found for name, value in one.endpoint.environment.items()}
        github.add_masks(sys.stdout, [one.endpoint.password for one in found])
        github.set_environment(request.environ, variables)
        return f"set for later steps: {', '.join(variables)}"
    return "\n".join(standing.env_lines(found, standing.Shell(shell)))


def logs(request: ServicesRequest) -> str:
    """The last lines of each service's log."""
    project = open_project(request.root, request.environ)
    kinds = request.kinds or tuple(spec.kind for spec in project.config.services)
    return "\n".join(line for kind in kinds for line in standing.logs(_folder(project), kind))


def diagnose(request: ServicesRequest) -> tuple[str, bool]:
    """What every provider of each service's chain says when it is asked for real, and whether each service is served."""
    project = open_project(request.root, request.environ)
    chains = ask_chains(_specs(project, request.kinds), project.environ)
    return render_chains(chains), all(one.chosen is not None for one in chains)


def reap() -> str:
    """End what dead runs left behind, by process ID and birth, never by name."""
    ended = leftovers.reap()
    return "\n".join(_tell(one) for one in ended) or "nothing was left behind"


def _tell(one: leftovers.Reaped) -> str:
    if not one.name:
        return f"{one.home}: nobody's, removed"
    return f"{one.name} (pid {one.pid}): {'ended' if one.was_running else 'was gone'}, {one.home} removed"


def _describe(one: standing.Standing, state: str) -> str:
    return f"{introduce(one.endpoint.provenance)}\n  {state}: {one.endpoint.masked_url}\n  log: {one.log}"


def _explain(one: standing.Standing, state: str) -> str:
    """The same with what was passed over for it."""
    passed_over = one.endpoint.provenance.reason.partition("; ")[2]
    return "\n".join((_describe(one, state), *([f"  passed over: {passed_over}"] if passed_over else [])))


def _specs(project: Project, kinds: Sequence[ServiceKind]) -> tuple[ServiceSpec, ...]:
    declared = {spec.kind: spec for spec in project.config.services}
    if not kinds and not declared:
        raise UsageError("no service is declared", hint="name one (redis, postgres), or add [tool.ci-tools.services.redis]")
    return tuple(declared.get(kind, ServiceSpec(kind=kind)) for kind in kinds or declared)


def _folder(project: Project) -> Path:
    folder = project.artifacts / "services"
    try:
        prepare_artifacts(project.artifacts)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM_BYTES))
    except OSError as error:
        raise ServiceError(
            f"nothing can be written to {folder}: {readiness.explain(error)}",
            details=["expected: room for logs and for where each service answers"],
            hint="make room, correct its permissions, or name another folder with `artifacts` in the configuration",
        ) from error
    return folder
