"""The chain of a service: what it would be served by, and what every other provider says when it is asked for real."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from ci_tools.doctor.servers import preferred_port, stranger_on_port
from ci_tools.errors import CIToolsError, ServiceError
from ci_tools.model.service import Provenance, Provider, ServiceKind, ServiceSpec
from ci_tools.services import container, download, table
from ci_tools.services.binaries import places_of
from ci_tools.services.discovery import DEFAULT_CHAIN
from ci_tools.services.provision import provide
from ci_tools.services.variables import adopted_variable

_COSTLY = (Provider.DOWNLOADED, Provider.CONTAINER)
"""Asked only where a run would ask them: a look must not fetch an archive or an image that nobody needs."""


class Answer(StrEnum):
    """What a provider says: a server of it answered, there is none, or nobody needed to know."""

    SERVES = "serves"
    REFUSED = "refused"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One provider's answer. ``provenance`` is known of a server that answered."""

    provider: Provider
    answer: Answer
    reasons: tuple[str, ...]
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One service: who would serve it (``error`` when nobody would), every provider's answer, its port, the remedy."""

    kind: ServiceKind
    asked: tuple[Asked, ...]
    port: str
    remedy: str
    chosen: Provider | None = None
    error: ServiceError | None = None


def ask_chains(specs: Sequence[ServiceSpec], environ: Mapping[str, str]) -> tuple[Chain, ...]:
    """Provide each service as a run would, stop it, then ask every other provider; nothing is left running."""
    with tempfile.TemporaryDirectory(prefix="ci-tools-doctor-") as folder:
        return tuple(_ask_chain(spec, environ, Path(folder)) for spec in specs)


def render_chains(chains: Sequence[Chain]) -> str:
    """The chains as plain text: a line for who serves, one for each provider, the port and the remedy."""
    return "\n".join(line for chain in chains for line in _lines(chain))


def _ask_chain(spec: ServiceSpec, environ: Mapping[str, str], folder: Path) -> Chain:
    stranger = stranger_on_port(spec)
    chosen: Provenance | None = None
    failure: ServiceError | None = None
    try:
        chosen = _provide_once(spec, environ, folder)
    except ServiceError as error:
        failure = error
    return Chain(
        kind=spec.kind,
        asked=tuple(_ask(provider, spec, environ, folder, chosen, failure) for provider in _chain_of(spec)),
        port=stranger or f"port {preferred_port(spec)} is free",
        remedy=places_of().redis_remedy if spec.kind is ServiceKind.REDIS else places_of().postgres_remedy,
        chosen=chosen.provider if chosen else None,
        error=failure,
    )


def _chain_of(spec: ServiceSpec) -> tuple[Provider, ...]:
    return spec.providers or (Provider.ADOPTED, *DEFAULT_CHAIN, Provider.CONTAINER)


def _ask(
    provider: Provider,
    spec: ServiceSpec,
    environ: Mapping[str, str],
    folder: Path,
    chosen: Provenance | None,
    failure: ServiceError | None,
) -> Asked:
    if chosen is not None and chosen.provider is provider:
        return _served(chosen)
    if provider is Provider.CONTAINER and provider not in spec.providers:
        return Asked(provider=provider, answer=Answer.REFUSED, reasons=("only where `providers` of the service names it",))
    if provider is Provider.ADOPTED and failure is not None and environ.get(adopted_variable(spec.kind)):
        # Who is named is decided on alone: it was that server's refusal, and it need not be waited for again.
        return Asked(provider=provider, answer=Answer.REFUSED, reasons=_reasons(provider, failure))
    if provider in _COSTLY:
        return _look(provider, spec, environ, failure)
    try:
        return _served(_provide_once(replace(spec, providers=(provider,)), environ, folder))
    except CIToolsError as error:
        return Asked(provider=provider, answer=Answer.REFUSED, reasons=_reasons(provider, error))


def _provide_once(spec: ServiceSpec, environ: Mapping[str, str], folder: Path) -> Provenance:
    with provide([spec], environ=environ, folder=folder) as provision:
        return provision.provenances[0]


def _served(came: Provenance) -> Asked:
    return Asked(provider=came.provider, answer=Answer.SERVES, reasons=(came.reason.partition("; ")[0],), provenance=came)


def _look(provider: Provider, spec: ServiceSpec, environ: Mapping[str, str], failure: ServiceError | None) -> Asked:
    """A costly provider that did not serve: refused where the run came as far as asking it, else what it would take."""
    refused = _tried(provider, failure) if failure else ()
    if failure and not refused and provider in spec.providers:
        refused = _reasons(provider, failure)
    if refused:
        return Asked(provider=provider, answer=Answer.REFUSED, reasons=refused)
    if provider is Provider.CONTAINER:
        tried: list[str] = []
        engine = container.find_engine(environ, tried)
        if engine is None:
            return Asked(provider=provider, answer=Answer.REFUSED, reasons=tuple(line.partition(": ")[2] for line in tried))
        image = spec.image or container.IMAGES[spec.kind]
        return Asked(provider=provider, answer=Answer.NOT_ASKED, reasons=(f"{image} on {engine.program.name} {engine.version}",))
    found = _entry_of(spec, environ)
    answer = Answer.NOT_ASKED if found else Answer.REFUSED
    wanted = f"no entry of the table fits {places_of().platform}, wanted {spec.version or 'any version'}"
    return Asked(provider=provider, answer=answer, reasons=(found or wanted,))


def _entry_of(spec: ServiceSpec, environ: Mapping[str, str]) -> str:
    entry = table.choose(table.load_tables(environ), table.DISTRIBUTIONS[spec.kind], spec.version, system=places_of().platform)
    if entry is None:
        return ""
    state = "in the cache" if (download.cache_folder() / entry.sha256).is_dir() else "not fetched yet"
    return f"{entry.distribution} {entry.version} ({entry.proof}, {state}), sha256 {entry.sha256}, from {entry.url}"


def _reasons(provider: Provider, error: CIToolsError) -> tuple[str, ...]:
    """What the error says of this provider: its own lines of what was tried, else its words."""
    return _tried(provider, error) or (error.what, *(line for line in error.details if not line.startswith("tried: ")))


def _tried(provider: Provider, error: CIToolsError) -> tuple[str, ...]:
    mark = f"tried: {provider}: "
    return tuple(line.removeprefix(mark) for line in error.details if line.startswith(mark))


def _lines(chain: Chain) -> list[str]:
    lines = [f"{chain.kind}: {f'served by {chain.chosen}' if chain.chosen else 'nobody would serve it'}"]
    for one in chain.asked:
        version = f"{one.provenance.version}, " if one.provenance else ""
        first, *rest = one.reasons or ("not reached",)
        lines.append(f"  {one.provider:<10} {one.answer:<9} {version}{first}")
        came = one.provenance
        if came is not None and came.path:
            rest = [f"{came.path}, sha256 {came.sha256 or 'unknown'}", *rest]
        if came is not None:
            rest.append(f"answered on {came.host}:{came.port} after {came.start_ms:.0f} ms")
        lines += [f"  {'':<20} {line}" for line in rest]
    lines.append(f"  {chain.port}")
    if chain.error is not None:
        lines += [f"  error: {chain.error.what}", *([f"  hint: {chain.error.hint}"] if chain.error.hint else [])]
    lines.append(f"  remedy: {chain.remedy}; or set {adopted_variable(chain.kind)} to a server that is yours to use")
    return lines
