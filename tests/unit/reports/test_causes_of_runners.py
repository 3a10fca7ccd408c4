"""Causes out of what runners of other languages write, as they write it: the message stands before the stack, or nowhere else."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ci_tools.reports.causes import find_causes
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.merge import merge

JEST = """{said}
    at {function} (/home/ci/shop/src/{file}:20:41)
    at Object.{function} (/home/ci/shop/test/{test}.test.js:9:5)
    at Promise.finally.completed (/home/ci/shop/node_modules/jest-circus/build/jestAdapterInit.js:1834:28)
    at new Promise (<anonymous>)
    at runTest (/home/ci/shop/node_modules/jest-runner/build/index.js:315:7)"""
EXPECTED = """Error: expect(received).toHaveProperty(path)

Expected path: "{key}"
Received path: []

Received value: {{"id": {id}, "total": 4}}
    at Object.toHaveProperty (/home/ci/shop/test/{test}.test.js:5:30)
    at runTest (/home/ci/shop/node_modules/jest-runner/build/index.js:315:7)"""
PHPUNIT = """Tests\\Unit\\{test}Test::testSaves
{said}

/app/src/Db/Query.php:61
/app/tests/{test}Test.php:{line}"""
VITEST = """
Error: cannot reach {server}: connect ECONNREFUSED 127.0.0.1:{port}
 \u276f Socket.<anonymous> src/app.mjs:15:34

Caused by: Error: connect ECONNREFUSED 127.0.0.1:{port}
Serialized Error: {{ errno: -111, code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port: {port} }}
"""
NEXTEST = """thread '{test}::tests::saves' ({id}) panicked at src/{file}.rs:57:9:
{said}
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"""
GO = """=== RUN   Test{test}
--- FAIL: Test{test} (0.00s)
panic: runtime error: invalid memory address or nil pointer dereference [recovered]
	panic: runtime error: invalid memory address or nil pointer dereference

goroutine 44 [running]:
testing.tRunner.func1.2({{0x757d38, 0xc000153a40}})
	/usr/local/go/src/testing/testing.go:1632 +0x230
example.com/shop/{file}.(*Table).Latest(0xc000c6d712)
	/src/shop/{file}/table.go:19 +0x31
example.com/shop/{test}.Test{test}(0xc00010e3b6)
	/src/shop/{test}/{test}_test.go:75 +0xa5"""


def jest(said: str, test: str, function: str = "translate", file: str = "app.js") -> str:
    """What jest-junit writes of an exception."""
    return JEST.format(said=said, test=test, function=function, file=file)


def nextest(test: str, number: int, file: str, said: str) -> str:
    """What cargo-nextest writes of a panic."""
    return NEXTEST.format(test=test, id=number, file=file, said=said)


def refused(server: str, port: int) -> str:
    """What vitest writes of an error with a cause."""
    return VITEST.format(server=server, port=port)


FIRST_LINE = "<its first line>"
ID = "6b60e0a0-21b0-47bd-a848-5c57492{:05}"
SETS: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "jest: the words before the stack": (
        {},
        [jest(f"Error: missing translation 'cart.total' (request {ID.format(n)})", f"t{n}") for n in range(3)],
        [jest(f"Error: missing translation 'cart.title' (request {ID.format(n)})", f"t{n}") for n in range(3)],
    ),
    "jest: what was thrown": (
        {},
        [jest(f"HttpError: Request failed with status code 500: GET https://a.test/orders/{n}", "one") for n in (283, 77)],
        [jest(f"HttpError: Request failed with status code 503: GET https://a.test/orders/{n}", "one") for n in (283, 77)],
    ),
    "jest: the property that is missing": (
        {},
        [EXPECTED.format(key="currency", id=8195, test="users"), EXPECTED.format(key="currency", id=1, test="mail")],
        [EXPECTED.format(key="locale", id=2218, test="users")],
    ),
    "PHPUnit: the words behind the test's name": (
        {"type": "PDOException"},
        [
            PHPUNIT.format(test=test, line=line, said="PDOException: SQLSTATE[42S02]: Table 'shop.refunds' doesn't exist")
            for test, line in (("Orders", 67), ("Mail", 12))
        ],
        [PHPUNIT.format(test="Orders", line=9, said="PDOException: SQLSTATE[42S02]: Table 'shop.invoices' doesn't exist")],
    ),
    "vitest: what the wrapper did not reach": (
        {"type": "Error", "message": FIRST_LINE},
        [refused("redis", 41426), refused("redis", 40111)],
        [refused("postgres", 45427)],
    ),
    "nextest: the file of a panic that names nothing": (
        {"type": "test failure with exit code 101", "message": FIRST_LINE},
        [nextest(test, n, "rates", "called `Option::unwrap()` on a `None` value") for n, test in enumerate(("a", "b"))],
        [nextest("a", 7, "cart", "called `Option::unwrap()` on a `None` value")],
    ),
    "nextest: an index": (
        {"type": "test failure with exit code 101", "message": FIRST_LINE},
        [nextest("a", 1, "page", f"index out of bounds: the len is 5 but the index is {n}") for n in (15, 7)],
        [nextest("a", 1, "grid", "index out of bounds: the len is 5 but the index is 15")],
    ),
    "Go: where it panicked": (
        {"message": "Failed"},
        [GO.format(test=test, file="rates") for test in ("users", "mail")],
        [GO.format(test="users", file="cart")],
    ),
}


def causes_of(folder: Path, attributes: dict[str, str], texts: list[str]) -> int:
    """The number of causes of a file with these failures."""
    suite = ET.Element("testsuite", name="all", tests=str(len(texts)), failures=str(len(texts)))
    for number, text in enumerate(texts):
        case = ET.SubElement(suite, "testcase", classname="shop", name=f"saves {number}")
        message = attributes.get("message", "").replace(FIRST_LINE, text.strip().splitlines()[0])
        said = {**attributes, "message": message} if message else attributes
        ET.SubElement(case, "failure", said).text = text
    ET.ElementTree(suite).write(folder / "results.xml", encoding="utf-8", xml_declaration=True)
    return len(find_causes(merge([], [read_junit(folder / "results.xml")])))


@pytest.mark.parametrize("name", SETS)
def test_one_root_is_one_cause_and_its_near_miss_another(tmp_path: Path, name: str) -> None:
    """As the runner writes it: what varies from test to test is data, what its words or its stack name is not."""
    attributes, same, other = SETS[name]
    assert causes_of(tmp_path, attributes, same) == 1
    assert causes_of(tmp_path, attributes, [*same, *other]) == 2
