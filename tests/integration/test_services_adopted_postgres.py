"""Adopted PostgreSQL: TLS, accounts and URLs of every kind, on a real server that is not ours."""

import socket
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tls_door import Door, tls_door

from ci_tools.errors import ExitCode, ServiceError
from ci_tools.model.service import Endpoint, ServiceKind, ServiceSpec
from ci_tools.services import databases, pgwire
from ci_tools.services.postgres import PostgresServer, start_postgres
from ci_tools.services.probe import is_ready
from ci_tools.services.provision import Provision, provide

SPEC = ServiceSpec(kind=ServiceKind.POSTGRES, start_timeout_s=0.5)
HOSTILE = "p@s'\"$(x) w%/?#:"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Somebody else's server, with an account that may make databases, and one that may not."""
    folder = tmp_path_factory.mktemp("foreign")
    with start_postgres(ServiceSpec(kind=ServiceKind.POSTGRES), environ={"PATH": ""}, folder=folder) as server:
        with pgwire.connect(databases.target_of(server.endpoint)) as connection:
            for words in (
                f"CREATE ROLE {pgwire.quote_name(HOSTILE)} LOGIN CREATEDB PASSWORD {pgwire.quote_text(HOSTILE)}",
                "CREATE ROLE weak LOGIN PASSWORD 'hunter2'",
                "CREATE DATABASE weak OWNER weak",
            ):
                connection.query(words)
        yield server


@pytest.fixture(scope="module")
def with_tls(foreign: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The same server behind a door that agrees to TLS, as PostgreSQL's own does."""

    def agree(client: socket.socket) -> None:
        assert len(client.recv(8)) == 8
        client.sendall(b"S")

    with tls_door((foreign.endpoint.host, foreign.endpoint.port), tmp_path_factory.mktemp("tls"), agree) as door:
        yield door


def adopt(url: str, slots: int = 1) -> Provision:
    """What a run does when the variable is set."""
    return provide([SPEC], environ={"PATH": "", "CI_TOOLS_POSTGRES_URL": url}, folder=None, slots=slots)


def refusal(url: str) -> str:
    """What is said when that URL is adopted; never the password."""
    with pytest.raises(ServiceError) as caught:
        adopt(url)
    assert (caught.value.exit_code, "hunter2" in str(caught.value)) == (ExitCode.SERVICE, False)
    return str(caught.value)


def of(server: PostgresServer, port: int = 0) -> str:
    """The server's URL without its query, through another port."""
    return server.url.replace(f":{server.endpoint.port}/", f":{port or server.endpoint.port}/")


def databases_of(endpoint: Endpoint) -> list[str | None]:
    """Every database of the server that is no template."""
    with pgwire.connect(databases.target_of(endpoint)) as connection:
        return [name for (name,) in connection.query("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")]


def test_require_asks_for_tls_and_not_for_whose_it_is(foreign: PostgresServer, with_tls: Door) -> None:
    """As libpq means it: a certificate that nobody signed is accepted, for leases and for the tests alike."""
    with adopt(f"{of(foreign, with_tls.port)}?sslmode=require", slots=2) as provision:
        endpoints = [slot.endpoints[0] for slot in provision.slots]
        assert [is_ready(endpoint) for endpoint in endpoints] == [True, True]
        assert all(endpoint.url.endswith("?sslmode=require") for endpoint in endpoints)
    assert databases_of(foreign.endpoint) == ["postgres", "weak"]


def test_a_certificate_is_verified_where_the_url_says_so(foreign: PostgresServer, with_tls: Door) -> None:
    """Refused in the words of TLS where nobody known signed it, and taken where the URL names who did."""
    url = of(foreign, with_tls.port)
    assert "certificate verify failed" in refusal(f"{url}?sslmode=verify-full")
    with adopt(f"{url}?sslmode=verify-full&sslrootcert={quote(str(with_tls.certificate))}") as provision:
        assert is_ready(provision.slots[0].endpoints[0])


def test_a_server_without_tls_is_said(foreign: PostgresServer) -> None:
    """The URL asks for what the server has not."""
    assert "the URL asks for TLS and the server has none" in refusal(f"{of(foreign)}?sslmode=require")


@pytest.mark.parametrize("form", ["in its place", "in the query"])
def test_user_and_password_may_be_of_any_characters(foreign: PostgresServer, form: str) -> None:
    """Quoted wherever they stand; the password is in nothing that people read."""
    port, word = foreign.endpoint.port, quote(HOSTILE, safe="")
    url = {
        "in its place": f"postgresql://{word}:{word}@127.0.0.1:{port}/postgres",
        "in the query": f"postgresql://127.0.0.1:{port}/postgres?user={word}&password={word}",
    }[form]
    with adopt(url) as provision:
        endpoint = provision.slots[0].endpoints[0]
        assert (is_ready(endpoint), endpoint.username, endpoint.password) == (True, HOSTILE, HOSTILE)
        assert (endpoint.masked_url.count(word), endpoint.masked_url.count("***")) == (1, 1)
    assert databases_of(foreign.endpoint) == ["postgres", "weak"]


def test_an_account_that_may_make_no_database_is_told_the_right(foreign: PostgresServer) -> None:
    """The server's refusal, and the name of the right; nothing is left of the try."""
    said = refusal(f"postgresql://weak:hunter2@127.0.0.1:{foreign.endpoint.port}/weak")
    assert "permission denied to create database" in said
    assert "CREATEDB" in said
    assert databases_of(foreign.endpoint) == ["postgres", "weak"]


@pytest.mark.parametrize(
    ("place", "said"),
    [("weak:hunter2@{}/none", 'database "none" does not exist'), ("weak:hunter2x@{}/weak", "password authentication failed")],
)
def test_what_the_server_refuses_is_in_its_own_words(foreign: PostgresServer, place: str, said: str) -> None:
    """No such database, a wrong password."""
    assert said in refusal(f"postgresql://{place.format(f'127.0.0.1:{foreign.endpoint.port}')}")
