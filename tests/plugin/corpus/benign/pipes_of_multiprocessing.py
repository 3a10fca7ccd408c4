"""Pipes and queues of multiprocessing are closed, or dropped with their process."""

import multiprocessing
from multiprocessing.connection import Connection


def answer(connection: Connection) -> None:
    """Says it twice."""
    with connection:
        connection.send(connection.recv() * 2)


def test_pipe() -> None:
    """Closes its ends."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=answer, args=(there,))
    child.start()
    there.close()
    with here:
        here.send(21)
        assert here.recv() == 42
    child.join()


def test_dropped() -> None:
    """Nobody holds it."""
    assert multiprocessing.Pipe(duplex=False)[0].readable


def test_queue() -> None:
    """Closed and waited for."""
    queue: multiprocessing.Queue[int] = multiprocessing.get_context("fork").Queue()
    queue.put(1)
    assert queue.get() == 1
    queue.close()
    queue.join_thread()
