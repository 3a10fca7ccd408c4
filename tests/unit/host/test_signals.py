"""The first signal that asks the process to end becomes one exception."""

import os
import signal

import pytest

from ci_tools.host.signals import Interrupted, Interruption, interruptible

pytestmark = pytest.mark.skipif(os.name == "nt", reason="os.kill ends a process on Windows instead of signalling it")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_raises_and_the_second_does_not(number: signal.Signals) -> None:
    """Stopping is not cut short by a second signal."""
    with interruptible() as interruption:
        with pytest.raises(Interrupted) as caught:
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (caught.value.name, interruption.is_asked()) == (number.name, True)


def test_a_deferred_signal_is_answered_when_asked_and_raised_at_the_end() -> None:
    """Code that asks for itself is not interrupted in its middle."""
    seen = []

    def work(interruption: Interruption) -> None:
        with interruption.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            seen.append(interruption.is_asked())

    with interruptible() as interruption, pytest.raises(Interrupted):
        work(interruption)
    assert seen == [True]


def test_the_handlers_before_come_back() -> None:
    """Outside of a run signals mean what they meant."""
    before = signal.getsignal(signal.SIGTERM)
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
