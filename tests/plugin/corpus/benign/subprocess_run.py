"""Children that are waited for in several ways."""

import asyncio
import multiprocessing
import subprocess
import sys

import pytest


def test_run():
    assert subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True).stdout == b"1\n"


def test_shell():
    assert subprocess.check_output("echo a | cat; (sleep 0.05 &) ; true", shell=True).strip() == b"a"


def double(number):
    return 2 * number


def test_pool():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(double, [1, 2]) == [2, 4]


def test_process_closed():
    process = multiprocessing.get_context("fork").Process(target=double, args=(1,))
    process.start()
    process.join()
    process.close()


@pytest.mark.asyncio
async def test_communicates():
    process = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    out, _ = await process.communicate(b"x")
    assert out == b"x"
