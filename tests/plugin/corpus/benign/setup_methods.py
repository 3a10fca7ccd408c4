"""Plain set-up functions of every level."""

CALLS = []


def setup_module() -> None:
    """Run once."""
    CALLS.append("module")


class TestIt:
    """Is set up."""

    @classmethod
    def setup_class(cls) -> None:
        """Run once."""
        CALLS.append("class")

    def setup_method(self) -> None:
        """Run before each."""
        CALLS.append("method")

    def test_it(self) -> None:
        """Finds it done."""
        assert CALLS == ["module", "class", "method"]
