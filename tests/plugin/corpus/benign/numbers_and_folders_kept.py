"""A module, or a session's fixture, opens a descriptor and makes a folder when first asked, and remembers number and name."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_NUMBER = None
_FOLDER = None


def number():
    """The module's own descriptor."""
    global _NUMBER
    if _NUMBER is None:
        _NUMBER = os.open(os.devnull, os.O_RDWR)
    return _NUMBER


def folder():
    """The module's own folder."""
    global _FOLDER
    if _FOLDER is None:
        _FOLDER = tempfile.mkdtemp()
    return Path(_FOLDER)


class Device:
    """Has its own, as an object's attributes."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.folder: Path | None = None
        self.other: tempfile.TemporaryDirectory[str] | None = None

    def use(self) -> None:
        """Opens and makes them the first time, and uses them."""
        if self.number is None or self.folder is None or self.other is None:
            self.number = os.open(os.devnull, os.O_RDWR)
            self.folder = Path(tempfile.mkdtemp())
            self.other = tempfile.TemporaryDirectory()
        os.write(self.number, b"x")
        assert self.folder.is_dir()
        assert Path(self.other.name).is_dir()


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    """Puts everything away."""
    device = Device()
    yield device
    if device.number is not None and device.folder is not None and device.other is not None:
        os.close(device.number)
        device.folder.rmdir()
        device.other.cleanup()


@pytest.fixture(scope="module", autouse=True)
def _away() -> Iterator[None]:
    yield
    if _NUMBER is not None:
        os.close(_NUMBER)
        folder().rmdir()


def test_first(device: Device) -> None:
    """Makes them."""
    os.write(number(), b"x")
    assert folder().is_dir()
    device.use()


def test_second(device: Device) -> None:
    """Finds them."""
    os.write(number(), b"x")
    assert folder().is_dir()
    device.use()
