"""About a thousand failures whose roots are known, by someone who has not seen how causes are found.

``ROOTS`` are the origins as they occur in integration suites; ``TWINS`` differ from one of them in a single telling token
and must never share its cause. ``make_set`` varies each origin over many failures, always the same ones.
"""

import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from string import Template

from ci_tools.model.case import Attempt, Case, ExceptionLink, Failure, Frame, Outcome, Phase
from ci_tools.model.report import RunReport

SEED = 4_711
"""Whatever number: chosen once, before anything was measured."""
BY_CAUSE = "The above exception was the direct cause of the following exception:"
BY_CONTEXT = "During handling of the above exception, another exception occurred:"


class Style(StrEnum):
    """How a failure reached the report."""

    JOURNAL = "journal"
    """Our own journal: exception chain, frames, fixture."""
    JUNIT = "junit"
    """A foreign JUnit file, failed in the call: first line and traceback."""
    WRAPPED = "wrapped"
    """A foreign JUnit file, failed in set-up, read by our reader: the wrapper is off, the phase is known."""
    RAW = "raw"
    """A foreign report that only copied pytest's words: the wrapper is still around them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """One origin. ``links`` run from what pytest saw to the root: (type, message template)."""

    name: str
    links: tuple[tuple[str, str], ...]
    path: str
    function: str
    count: int = 24
    fixture: str = ""
    library: str = ""
    joint: str = BY_CAUSE
    in_setup: bool = True
    outcome: Outcome = Outcome.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangerSet:
    """The report, the root's name behind each test ID, and how each failure was given."""

    report: RunReport
    root_of: Mapping[str, str]
    style_of: Mapping[str, Style]


_RULER = "_ " * 38
_INSERT = "[SQL: INSERT INTO accounts (id, email, handle, created_at) VALUES ($$1::UUID, $$2::VARCHAR, $$3::VARCHAR, $$4)]"

ROOTS = (
    Root(
        name="search refuses connections",
        links=(
            ("shop.search.SearchDown", "search cluster did not answer the ping (attempt $attempt)"),
            ("ConnectionRefusedError", "[Errno 111] Connect call failed ('127.0.0.1', $port)"),
        ),
        path="shop/net/dial.py",
        function="open_stream",
        library="asyncio/selector_events.py",
        count=32,
    ),
    Root(
        name="e-mail is taken",
        links=(
            (
                "sqlalchemy.exc.IntegrityError",
                (
                    "(sqlalchemy.dialects.postgresql.asyncpg.IntegrityError) <class 'asyncpg.exceptions.UniqueViolationError'>: "
                    'duplicate key value violates unique constraint "accounts_email_key"\n'
                    f"DETAIL:  Key (email)=($mail) already exists.\n{_INSERT}\n"
                    "[parameters: ('$uuid', '$mail', 'h-$id', datetime.datetime(2026, 11, $day, $hour, $minute))]\n"
                    "(Background on this error at: https://sqlalche.me/e/20/gkpj)"
                ),
            ),
            (
                "asyncpg.exceptions.UniqueViolationError",
                (
                    'duplicate key value violates unique constraint "accounts_email_key"\n'
                    "DETAIL:  Key (email)=($mail) already exists."
                ),
            ),
        ),
        path="shop/accounts/store.py",
        function="AccountStore.add",
        library="site-packages/asyncpg/protocol/protocol.pyx",
        count=28,
    ),
    Root(
        name="column archived_at is not there",
        links=(
            (
                "psycopg.errors.UndefinedColumn",
                (
                    'column "archived_at" does not exist\n'
                    "LINE 1: SELECT * FROM items WHERE tenant = '$uuid' AND archived_at IS NULL LIMIT $n\n"
                    "                                                           ^"
                ),
            ),
        ),
        path="shop/items/queries.py",
        function="list_items",
        library="site-packages/psycopg/cursor.py",
        count=25,
    ),
    Root(
        name="SQLSTATE 40001",
        links=(
            ("shop.ledger.PostingFailed", "posting $uuid was not booked"),
            (
                "shop.ledger.storage.TransactionError",
                "transaction $id rolled back by the server (SQLSTATE 40001) after $ms ms, attempt $attempt of 5",
            ),
        ),
        path="shop/ledger/storage.py",
        function="commit",
        count=26,
    ),
    Root(
        name="tenant is over its quota",
        links=(("shop.plans.QuotaExceeded", "tenant t-$id may not create another workspace (used $n of $m)"),),
        path="shop/plans/guard.py",
        function="allow",
        count=22,
    ),
    Root(
        name="connection pool is exhausted",
        links=(
            (
                "sqlalchemy.exc.TimeoutError",
                (
                    "QueuePool limit of size $small overflow $m reached, connection timed out, timeout $s "
                    "(Background on this error at: https://sqlalche.me/e/20/3o7r)"
                ),
            ),
        ),
        path="shop/db.py",
        function="session",
        library="site-packages/sqlalchemy/pool/impl.py",
        fixture="db_session",
        count=45,
    ),
    Root(
        name="order is refused with 422",
        links=(("AssertionError", "POST /v1/orders/$uuid on :$port: expected 201, got 422 after $s s\nassert 422 == 201"),),
        path="tests/support/api.py",
        function="Api.create_order",
        in_setup=False,
        count=24,
    ),
    Root(
        name="minio is not in the DNS",
        links=(
            (
                "requests.exceptions.ConnectionError",
                (
                    "HTTPConnectionPool(host='minio', port=9000): Max retries exceeded with url: "
                    "/uploads-$id/$uuid.bin (Caused by "
                    "NameResolutionError(\"<urllib3.connection.HTTPConnection object at $hex>: Failed to resolve 'minio' "
                    '([Errno -2] Name or service not known)"))'
                ),
            ),
            (
                "urllib3.exceptions.NameResolutionError",
                (
                    "<urllib3.connection.HTTPConnection object at $hex>: Failed to resolve 'minio' "
                    "([Errno -2] Name or service not known)"
                ),
            ),
            ("socket.gaierror", "[Errno -2] Name or service not known"),
        ),
        path="shop/objects/client.py",
        function="put",
        library="site-packages/urllib3/util/connection.py",
        count=30,
    ),
    Root(
        name="certificate is not for gateway.internal",
        links=(
            ("httpx.ConnectError", "TLS handshake with 10.0.$octet.$octet2:$port failed"),
            (
                "ssl.SSLCertVerificationError",
                (
                    "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate is not valid for "
                    "'gateway.internal'. (_ssl.c:$line)"
                ),
            ),
        ),
        path="shop/net/tls.py",
        function="wrap",
        library="ssl.py",
        count=24,
    ),
    Root(
        name="device is full",
        links=(
            ("shop.export.StageFailed", "stage 'archive' of export $uuid stopped on $host"),
            ("shop.blobs.WriteError", "could not flush part $n of $tmp/part-$id.zst (errno 28), $bytes bytes left"),
        ),
        path="shop/blobs/disk.py",
        function="flush",
        count=26,
    ),
    Root(
        name="uploads may not be written",
        links=(("PermissionError", "[Errno 13] Permission denied: '/srv/shop/uploads/$uuid/$id.part'"),),
        path="shop/uploads/folder.py",
        function="prepare",
        library="pathlib.py",
        fixture="upload_folder",
        count=40,
    ),
    Root(
        name="build_router cannot be imported",
        links=(
            (
                "ImportError",
                (
                    "cannot import name 'build_router' from 'gateway.api' "
                    "(/home/runner/_work/$id/gateway/src/gateway/api/__init__.py)"
                ),
            ),
        ),
        path="tests/support/gateway_app.py",
        function="make_app",
        count=24,
    ),
    Root(
        name="worker dies in the image decoder",
        links=(("", "worker '$gw' crashed while running '$test'"),),
        path="",
        function="",
        in_setup=False,
        outcome=Outcome.CRASHED,
        count=22,
    ),
    Root(
        name="inventory answers without JSON",
        links=(
            ("shop.errors.UpstreamUnreadable", "inventory answered $bytes bytes that are no JSON (request $uuid, $ms ms)"),
            ("json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)"),
        ),
        path="shop/inventory/client.py",
        function="stock_of",
        library="json/decoder.py",
        joint=BY_CONTEXT,
        fixture="stocked_item",
        count=36,
    ),
    Root(
        name="shipping_zone is not there",
        links=(
            ("shop.checkout.PriceError", "no price for basket $uuid"),
            ("KeyError", "'shipping_zone'"),
        ),
        path="shop/checkout/prices.py",
        function="price_of",
        count=25,
    ),
    Root(
        name="projection does not catch up",
        links=(
            ("shop.testing.NotSettled", "projection still at offset $n of $m after $s s"),
            ("TimeoutError", ""),
            ("asyncio.exceptions.CancelledError", ""),
        ),
        path="shop/testing/projections.py",
        function="wait_until_settled",
        library="asyncio/locks.py",
        count=28,
    ),
    Root(
        name="future of another loop",
        links=(
            (
                "RuntimeError",
                (
                    "Task <Task pending name='Task-$n' coro=<Publisher.pump() running at "
                    "/home/runner/_work/$id/shop/shop/events/publisher.py:$line> cb=[_run_until_complete_cb() at "
                    "/opt/hostedtoolcache/Python/3.$py/x64/lib/python3.11/asyncio/base_events.py:$line2]> got Future "
                    "<Future pending cb=[BaseProtocol._on_waiter_completed()]> attached to a different loop"
                ),
            ),
        ),
        path="shop/events/publisher.py",
        function="Publisher.pump",
        library="asyncio/tasks.py",
        fixture="publisher",
        count=35,
    ),
    Root(
        name="button Place order never comes",
        links=(
            (
                "playwright._impl._errors.TimeoutError",
                (
                    "Locator.click: Timeout ${millis}ms exceeded.\nCall log:\n"
                    '  - waiting for get_by_role("button", name="Place order")\n'
                    "  - attempt $attempt: navigated to http://127.0.0.1:$port/basket/$uuid after $ms ms"
                ),
            ),
        ),
        path="tests/support/pages.py",
        function="BasketPage.order",
        library="site-packages/playwright/_impl/_connection.py",
        in_setup=False,
        count=23,
    ),
    Root(
        name="bucket may not be written",
        links=(
            (
                "botocore.exceptions.ClientError",
                (
                    "An error occurred (AccessDenied) when calling the PutObject operation: User: "
                    "arn:aws:sts::$account:assumed-role/ci-runner/$pod is not authorized to perform: s3:PutObject on resource: "
                    '"arn:aws:s3:::ci-artifacts-$id/$uuid.tar.zst" because '
                    "no identity-based policy allows the s3:PutObject action"
                ),
            ),
        ),
        path="shop/artifacts/s3.py",
        function="upload",
        library="site-packages/botocore/client.py",
        fixture="artifact_bucket",
        count=34,
    ),
    Root(
        name="pricing service is not there over gRPC",
        links=(
            (
                "grpc.aio._call.AioRpcError",
                (
                    "<AioRpcError of RPC that terminated with:\n\tstatus = StatusCode.UNAVAILABLE\n"
                    '\tdetails = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:$port: '
                    'Failed to connect to remote host: connect: Connection refused (111)"\n'
                    '\tdebug_error_string = "UNKNOWN:Error received from peer  {created_time:"$ts", grpc_status:14, '
                    'grpc_message:"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:$port: '
                    'Failed to connect to remote host: connect: Connection refused (111)"}"\n>'
                ),
            ),
        ),
        path="shop/pricing/stub.py",
        function="quote",
        library="site-packages/grpc/aio/_call.py",
        fixture="pricing_stub",
        count=33,
    ),
    Root(
        name="namespace is not there",
        links=(
            (
                "kubernetes.client.exceptions.ApiException",
                (
                    "(404)\nReason: Not Found\nHTTP response headers: HTTPHeaderDict({'Audit-Id': '$uuid', "
                    "'Cache-Control': 'no-cache, private', 'Content-Type': 'application/json', 'Date': '$httpdate', "
                    "'Content-Length': '$n'})\n"
                    'HTTP response body: {"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",'
                    '"message":"namespaces \\"ci-$id\\" not found","reason":"NotFound","details":{"name":"ci-$id",'
                    '"kind":"namespaces"},"code":404}\n'
                ),
            ),
        ),
        path="tests/support/cluster.py",
        function="apply",
        library="site-packages/kubernetes/client/rest.py",
        fixture="namespace",
        count=37,
    ),
    Root(
        name="no consumer group billing",
        links=(
            (
                "redis.exceptions.ResponseError",
                "NOGROUP No such key 'jobs:$id' or consumer group 'billing' in XREADGROUP with GROUP option",
            ),
        ),
        path="shop/jobs/stream.py",
        function="read",
        library="site-packages/redis/asyncio/connection.py",
        count=25,
    ),
    Root(
        name="payment stays pending",
        links=(
            (
                "AssertionError",
                (
                    "assert {'amount': $n, 'id': '$uuid', 'state': 'pending'} == "
                    "{'amount': $n, 'id': '$uuid', 'state': 'settled'}\n"
                    "  \n  Omitting 2 identical items, use -vv to show\n  Differing items:\n"
                    "  {'state': 'pending'} != {'state': 'settled'}\n  Use -v to get more diff"
                ),
            ),
        ),
        path="tests/support/payments.py",
        function="assert_settled",
        in_setup=False,
        count=24,
    ),
    Root(
        name="migration ends with 2",
        links=(
            ("shop.testing.NoSchema", "database shop_$id on port $port has no schema"),
            (
                "subprocess.CalledProcessError",
                (
                    "Command '['$tmp/bin/migrate', '--port', '$port', '--database', 'shop_$id', 'up']' "
                    "returned non-zero exit status 2."
                ),
            ),
        ),
        path="tests/support/schema.py",
        function="migrate",
        library="subprocess.py",
        count=26,
    ),
)


def _twin(of: str, name: str, *changes: tuple[str, str], count: int = 20) -> tuple[str, Root]:
    """The root of this name with other words in its links: (what it says, what the twin says instead)."""
    twin = next(root for root in ROOTS if root.name == of)
    links = twin.links
    for old, new in changes:
        if not any(old in part for link in links for part in link):
            raise ValueError(f"{old!r} is not in the links of {of!r}: a twin must differ from its root")
        links = tuple((kind.replace(old, new), message.replace(old, new)) for kind, message in links)
    return of, replace(twin, name=name, links=links, count=count)


TWINS = (
    _twin(
        "search refuses connections",
        "broker refuses connections",
        ("shop.search.SearchDown", "shop.broker.BrokerDown"),
        ("search cluster", "message broker"),
    ),
    _twin("e-mail is taken", "handle is taken", ("accounts_email_key", "accounts_handle_key")),
    _twin("column archived_at is not there", "column expires_at is not there", ("archived_at", "expires_at"), count=22),
    _twin("SQLSTATE 40001", "SQLSTATE 40P01", ("40001", "40P01")),
    _twin("tenant is over its quota", "tenant is suspended", ("QuotaExceeded", "QuotaSuspended")),
    _twin("order is refused with 422", "order is refused with 429", ("422", "429"), count=21),
    _twin("minio is not in the DNS", "vault is not in the DNS", ("minio", "vault")),
    _twin("certificate is not for gateway.internal", "certificate is not for billing.internal", ("gateway", "billing")),
    _twin("device is full", "file system is read-only", ("errno 28", "errno 30")),
    _twin("build_router cannot be imported", "build_scopes cannot be imported", ("build_router", "build_scopes")),
    _twin("shipping_zone is not there", "shipping_rate is not there", ("shipping_zone", "shipping_rate")),
    _twin(
        "projection does not catch up",
        "outbox is not emptied",
        ("NotSettled", "OutboxStuck"),
        ("projection still at offset $n of $m", "outbox still holds $n of $m"),
    ),
    _twin("button Place order never comes", "button Cancel order never comes", ("Place order", "Cancel order"), count=22),
    _twin("no consumer group billing", "no consumer group mailing", ("'billing'", "'mailing'")),
    _twin("payment stays pending", "payment is cancelled", ("pending", "cancelled")),
    _twin("migration ends with 2", "migration ends with 78", ("exit status 2.", "exit status 78."), count=21),
)

PAIRS = tuple((of, twin.name) for of, twin in TWINS)
"""Names of roots that must stay apart."""
ALL_ROOTS = (*ROOTS, *(twin for _, twin in TWINS))


def make_set() -> StrangerSet:
    """The set: the same failures each time, mixed with tests that pass."""
    chance = random.Random(SEED)  # noqa: S311 - a test set must come out the same each time
    paired = {name for pair in PAIRS for name in pair}
    cases: list[Case] = []
    root_of: dict[str, str] = {}
    style_of: dict[str, Style] = {}
    for root in ALL_ROOTS:
        for _ in range(root.count):
            values = Values(chance)
            style = _style(root, chance)
            failure = _failure(root, style, values, chance, has_fixture=root.name not in paired)
            test_id = values["test"]
            root_of[test_id], style_of[test_id] = root.name, style
            cases.append(_case(test_id, failure, root, style, chance))
    passing = [_passing(Values(chance)["test"], chance) for _ in range(60)]
    cases += [case for case in passing if case.test_id not in root_of]
    chance.shuffle(cases)
    report = RunReport(run_id="stranger", cases=tuple(cases), expected=len(cases))
    return StrangerSet(report=report, root_of=root_of, style_of=style_of)


class Values(Mapping[str, str]):
    """What varies from failure to failure, made when a template first asks for it."""

    NAMES = (
        "account",
        "attempt",
        "bytes",
        "day",
        "gw",
        "hex",
        "host",
        "hour",
        "httpdate",
        "id",
        "line",
        "line2",
        "m",
        "mail",
        "millis",
        "minute",
        "ms",
        "n",
        "octet",
        "octet2",
        "pod",
        "port",
        "py",
        "s",
        "small",
        "test",
        "tmp",
        "ts",
        "uuid",
    )

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._made: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __len__(self) -> int:
        return len(self.NAMES)

    def _make(self, name: str) -> str:  # noqa: C901, PLR0911, PLR0912 - a flat table of what varies
        chance = self._chance
        at = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(
            seconds=chance.randrange(86_400), microseconds=chance.randrange(10**6)
        )
        match name:
            case "account":
                return f"{chance.randrange(10**11, 10**12)}"
            case "attempt":
                return f"{chance.randint(1, 9)}"
            case "bytes":
                return f"{chance.randint(17, 9_000_000)}"
            case "day":
                return f"{chance.randint(1, 28)}"
            case "gw":
                return f"gw{chance.randrange(16)}"
            case "hex":
                return f"0x7f{chance.getrandbits(40):010x}"
            case "host":
                return f"runner-{chance.choice('abcdef')}{chance.randrange(100):02d}-{chance.getrandbits(20):05x}"
            case "hour":
                return f"{chance.randrange(24)}"
            case "httpdate":
                return f"{at:%a, %d %b %Y %H:%M:%S} GMT"
            case "id":
                return f"{chance.getrandbits(32):08x}"
            case "line" | "line2":
                return f"{chance.randint(20, 2400)}"
            case "mail":
                return f"user-{chance.getrandbits(24):06x}@example.test"
            case "millis":
                return f"{chance.choice((5, 10, 15, 30, 60))}000"
            case "minute":
                return f"{chance.randrange(60)}"
            case "ms":
                return f"{chance.uniform(0.4, 4000):.1f}"
            case "n" | "m":
                return f"{chance.randint(2, 5000)}"
            case "octet" | "octet2":
                return f"{chance.randrange(256)}"
            case "pod":
                return f"shop-api-{chance.getrandbits(36):09x}-{''.join(chance.choices('bcdfghjklmnpqrstvwxz2456789', k=5))}"
            case "port":
                return f"{chance.randint(20_000, 65_000)}"
            case "py":
                return f"{chance.randint(11, 14)}.{chance.randint(0, 12)}"
            case "s":
                return f"{chance.uniform(1, 90):.2f}"
            case "small":
                return f"{chance.randint(1, 20)}"
            case "test":
                area = chance.choice(("accounts", "basket", "billing", "export", "jobs", "search", "stock", "uploads"))
                verb = chance.choice(("keeps", "sends", "rejects", "lists", "resumes", "retries", "counts", "moves"))
                number = chance.getrandbits(28)
                module = f"tests/{area}/test_{chance.choice(('api', 'flow', 'edges', 'load'))}.py"
                return f"{module}::test_{verb}_{area}[{number:x}-{chance.choice('xyz')}]"
            case "tmp":
                return (
                    f"/tmp/pytest-of-runner/pytest-{chance.randrange(500)}/popen-gw{chance.randrange(8)}/t{chance.randrange(90)}"  # noqa: S108 - a text
                )
            case "ts":
                return at.isoformat()
            case "uuid":
                return str(uuid.UUID(int=chance.getrandbits(128), version=4))
        raise KeyError(name)


def _style(root: Root, chance: random.Random) -> Style:
    if not root.in_setup:
        return chance.choices((Style.JOURNAL, Style.JUNIT), (55, 45))[0]
    return chance.choices((Style.JOURNAL, Style.JUNIT, Style.WRAPPED, Style.RAW), (42, 16, 21, 21))[0]


def _failure(root: Root, style: Style, values: Values, chance: random.Random, *, has_fixture: bool) -> Failure:
    links = tuple((kind, Template(message).substitute(values)) for kind, message in root.links)
    if root.outcome is Outcome.CRASHED:
        kind = "crashed" if style is Style.JOURNAL else ""
        return Failure(phase=Phase.CALL, type_name=kind, message=links[0][1])
    own = Frame(path=root.path, line=chance.randint(15, 400), function=root.function)
    library = f"/opt/venv/lib/python3.{chance.randint(11, 14)}/{root.library}:{chance.randint(60, 3000)}" if root.library else ""
    phase = Phase.CALL if style is Style.JUNIT or not root.in_setup else Phase.SETUP
    test_frame = Frame(path=values["test"].partition("::")[0], line=chance.randint(10, 600), function="test")
    if style is Style.JOURNAL:
        in_fixture = has_fixture and bool(root.fixture) and chance.random() < 0.6
        return Failure(
            phase=Phase.SETUP if in_fixture else Phase.CALL,
            type_name=links[0][0],
            message=links[0][1],
            text=_traceback(root, links, own, test_frame, library),
            frame=own,
            chain=tuple(ExceptionLink(type_name=kind, message=message, frame=own) for kind, message in links),
            fixture=root.fixture if in_fixture else None,
            fixture_scope="session" if in_fixture else None,
            fixture_path="tests/conftest.py" if in_fixture else None,
        )
    has_text = len(links) > 1 or style is Style.JUNIT or chance.random() < 0.75
    text = _traceback(root, links, own, test_frame, library) if has_text else ""
    message = _first_words(*links[0])
    if style is Style.RAW:
        return Failure(phase=Phase.CALL, type_name="", message=f'failed on setup with "{message}"', text=text)
    frame = None
    if text:  # the last place of the text, as our reader takes it
        inner, _, line = library.rpartition(":")
        frame = Frame(path=inner, line=int(line)) if library and len(links) == 1 else Frame(path=own.path, line=own.line)
    return Failure(phase=phase, type_name=links[0][0], message=message, text=text, frame=frame)


def _first_words(kind: str, message: str) -> str:
    """What pytest says of an exception in one place: plain asserts lose their type's name."""
    if kind == "AssertionError" and message.startswith("assert "):
        return message
    return f"{kind}: {message}" if message else kind


def _traceback(root: Root, links: tuple[tuple[str, str], ...], own: Frame, test_frame: Frame, library: str) -> str:
    """The long form of pytest: the root first, below it what was raised from it, each from the outermost call inwards."""
    sections = []
    for depth, (kind, message) in enumerate(reversed(links)):
        lines = []
        if depth == len(links) - 1:
            lines += [
                "    def test_it(client):",
                ">       client.run()",
                "",
                f"{test_frame.path}:{test_frame.line}: ",
                _RULER,
                "",
            ]
        owner = root.path.replace("/", ".").removesuffix(".py")
        lines += [f"self = <{owner}.{root.function.partition('.')[0]} object at 0x7f{own.line * 2654435761 % 2**40:010x}>", ""]
        lines += [f"    def {root.function.rpartition('.')[2]}(self):", ">       self._enter()"]
        place = f"{own.path}:{own.line}"
        if library and depth == 0:
            lines += ["", f"{place}: ", _RULER, "", "    def call(self):", ">       raise error"]
            place = library
        first, *rest = _first_words(kind, message).split("\n")
        lines += [f"E       {first}", *(f"E       {line}" for line in rest), "", f"{place}: {kind.rpartition('.')[2]}"]
        sections.append("\n".join(lines))
    return f"\n\n{root.joint}\n\n".join(sections)


def _case(test_id: str, failure: Failure, root: Root, style: Style, chance: random.Random) -> Case:
    outcome = root.outcome
    if outcome is Outcome.FAILED and (failure.phase is Phase.SETUP or style is Style.RAW):
        outcome = Outcome.ERROR
    shard = f"{chance.randint(1, 4)}/4" if style is Style.JOURNAL else f"file:junit-{chance.randint(1, 3)}.xml"
    duration_s = chance.uniform(0.01, 60.0)
    attempt = Attempt(outcome=outcome, duration_s=duration_s, shard=shard, failures=(failure,), worker=f"gw{chance.randrange(4)}")
    return Case(test_id=test_id, attempts=(attempt,))


def _passing(test_id: str, chance: random.Random) -> Case:
    attempt = Attempt(outcome=Outcome.PASSED, duration_s=chance.uniform(0.01, 5.0), shard=f"{chance.randint(1, 4)}/4")
    return Case(test_id=test_id, attempts=(attempt,))
