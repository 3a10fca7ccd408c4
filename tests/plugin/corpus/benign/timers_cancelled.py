"""Timers that are told not to fire."""

import asyncio
import signal
import threading

import pytest


def test_thread():
    timer = threading.Timer(1000, print)
    timer.start()
    timer.cancel()


def test_alarm():
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        signal.alarm(1000)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


@pytest.mark.asyncio
async def test_loop():
    handle = asyncio.get_running_loop().call_later(1000, print)
    handle.cancel()
